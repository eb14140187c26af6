//! Rounds without probes: that they are made, and not where every instruction is emulated. How fast anything
//! is in them is asserted nowhere.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::check::{Check, Context};
use crate::support::document::{Document, Speed, Spread};
use xtask::command;

/// On a real processor, and on an emulated one.
pub const CHECKS: [Check; 1] =
    [Check { name: "speed: rounds without probes, none of an emulated processor", run: speed }];

const STRATEGIES: [&str; 2] = ["read-write", "sendfile"];

/// Bytes of the GB that CPU time is given for.
const GB: f64 = 1e9;

fn speed(context: &Context) -> Result<()> {
    for rounds in [0, 3] {
        let document = measured(context, rounds)?;
        ensure!(document.strategies.len() == STRATEGIES.len(), "rows are missing");
        let is_timed = rounds > 0 && !document.environment.emulated;
        ensure!(document.environment.load.is_some() == is_timed, "the load is there, or is not");
        for row in &document.strategies {
            let name = &row.name;
            ensure!(row.speed.is_some() == is_timed, "{name}: {:?} of {rounds}", row.speed);
            if let Some(speed) = &row.speed {
                ensure!(speed.rounds == rounds, "{name}: {} rounds of {rounds}", speed.rounds);
                speed.is_consistent().with_context(|| format!("{name}: {speed:?}"))?;
            }
        }
    }
    Ok(())
}

fn measured(context: &Context, rounds: u64) -> Result<Document> {
    let tier = context.tier.name();
    let mut demo = Command::new(&context.copytrace);
    demo.args(["demo", "--format", "json", "--tier", tier, "--to", "loopback"]);
    demo.args(["--messages", "16", "--rounds", &rounds.to_string()]);
    demo.args(STRATEGIES.iter().flat_map(|name| ["--strategy", name]));
    Document::read(&command::stdout(&mut demo)?, tier)
}

impl Speed {
    /// A process of one thread takes no more CPU time than it runs.
    fn is_consistent(&self) -> Result<()> {
        let (cpu, rate) = (&self.cpu_seconds_per_gb, &self.bytes_per_second);
        cpu.is_ordered()?;
        rate.is_ordered()?;
        ensure!(cpu.min <= GB / rate.max, "more CPU time than time");
        Ok(())
    }
}

impl Spread {
    fn is_ordered(&self) -> Result<()> {
        let Self { median, min, max } = self;
        ensure!(0.0 < *min && min <= median && median <= max, "{self:?}");
        Ok(())
    }
}
