//! Brokers: their copies, and the verdicts on them. Their speed is not asserted.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::check::{Check, Context, Tier};
use crate::support::document::{Claim, Copies, nearly};
use xtask::command;

/// Copies of brokers, in every tier.
pub const CHECKS: [Check; 1] = [Check { name: "brokers: copies of a delivered byte", run: copies }];

/// CPU copies of each delivered byte, by flavour: pages by reference 0, out of the mapping 1, and
/// 1 more by the broker itself to its heap.
const CPU_COPIES: [(&str, f64); 3] = [("kafka", 0.0), ("rocketmq", 1.0), ("rocketmq-heap", 2.0)];

/// The verdicts on the textbook's claims, in every place.
const VERDICTS: [(&str, &str); 5] = [
    ("Q1", "confirmed"),
    ("Q2", "refined"),
    ("Q4", "confirmed"),
    ("Q5", "confirmed"),
    ("Q6", "not-tested"),
];

#[derive(Deserialize)]
struct Document {
    schema: String,
    lost_events: u64,
    delivered: Vec<Delivered>,
    features: Vec<Feature>,
    claims: Vec<Claim>,
}

#[derive(Deserialize)]
struct Delivered {
    flavour: String,
    copies: Copies,
    copies_provenance: String,
}

#[derive(Deserialize)]
struct Feature {
    flavour: String,
    feature: String,
    answer: String,
    note: String,
}

/// Few large messages: the copied headers are a small part of them.
const ARGUMENTS: [&str; 15] = [
    "brokers",
    "--format",
    "json",
    "--to",
    "loopback",
    "--cache",
    "warm",
    "--message-size",
    "64KiB",
    "--messages",
    "64",
    "--consumers",
    "2",
    "--rounds",
    "1",
];

fn copies(context: &Context) -> Result<()> {
    let mut brokers = Command::new(&context.copytrace);
    brokers.args(ARGUMENTS).args(["--tier", context.tier.name()]);
    let text = command::stdout(&mut brokers)?;
    let document: Document = serde_json::from_str(&text).context("stdout is not the document")?;
    ensure!(document.schema == "copytrace/brokers/2", "schema {}", document.schema);
    ensure!(document.lost_events == 0, "{} events were lost", document.lost_events);
    let provenance = match context.tier {
        Tier::Tracepoint => "derived",
        _ => "measured",
    };
    for (flavour, expected) in CPU_COPIES {
        let rows = document.delivered.iter().filter(|row| row.flavour == flavour);
        let row = rows.into_iter().next().with_context(|| format!("{flavour} is missing"))?;
        nearly(flavour, "CPU copies of a delivered byte", row.copies.cpu, expected)?;
        ensure!(
            row.copies_provenance == provenance,
            "{flavour}: copies are {} instead of {provenance}",
            row.copies_provenance
        );
    }
    for row in &document.features {
        let expected = if row.flavour == "kafka" { "refused" } else { "works" };
        ensure!(
            row.answer == expected,
            "{}: {}: {}: {}",
            row.flavour,
            row.feature,
            row.answer,
            row.note
        );
    }
    for (id, expected) in VERDICTS {
        let claim = document.claims.iter().find(|claim| claim.id == id);
        let claim = claim.with_context(|| format!("no verdict on claim {id}"))?;
        ensure!(claim.verdict == expected, "claim {id} is {}", claim.verdict);
    }
    Ok(())
}
