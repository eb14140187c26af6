//! What the command measures.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::document::{Document, exactly, nearly};
use super::expected::{FAULT_TOLERANCE, FURTHER, Further, STRATEGIES, TO_DUMMY};
use super::{Context, Tier};
use crate::command;

/// How often single messages are repeated: a number that is exact is so every time.
const REPETITIONS: usize = 20;
const FEW_REPETITIONS: usize = 5;
/// Repetitions in one run of the command.
const IN_A_RUN: usize = 5;

impl Context {
    /// Runs `copytrace demo` in this tier and reads its document.
    fn demo(&self, arguments: &[&str]) -> Result<Document> {
        let mut demo = Command::new(&self.copytrace);
        demo.args(["demo", "--format", "json", "--tier", self.tier.name()]).args(arguments);
        let text = command::stdout(&mut demo)?;
        Document::read(&text, self.tier.name())
    }

    /// The document of all further strategies.
    fn further(&self, arguments: &[&str]) -> Result<Document> {
        let names = FURTHER.iter().flat_map(|further| ["--strategy", further.strategy]);
        let arguments: Vec<_> = arguments.iter().copied().chain(names).collect();
        let document = self.demo(&arguments)?;
        ensure!(document.further_rows().count() == FURTHER.len(), "rows are missing");
        Ok(document)
    }
}

pub fn cold_to_nic(context: &Context) -> Result<()> {
    let document = context.demo(&["--to", "nic", "--cache", "cold"])?;
    let environment = &document.environment;
    ensure!(environment.nic.contains("eth0"), "the NIC is {}", environment.nic);
    ensure!(environment.scatter_gather, "scatter-gather is off");
    document.check_calls()?;
    document.check_copies(0.0, 2.0)?;
    document.check_all_measured()?;
    document.check_verdicts()
}

/// Of which the table of copies has no row: to a NIC they differ from run to run.
const UNSTEADY: &str = "recv-zerocopy";

/// Also checks them all with hardware breakpoints.
pub fn further_strategies(context: &Context) -> Result<()> {
    let arguments = ["--to", "nic", "--verify", "--strategy", UNSTEADY];
    let document = context.further(&arguments)?;
    document.strategies.iter().try_for_each(|row| row.check_verified(0.0))?;
    check_further(&document, 0, |further| (further.cpu, further.dma))
}

/// The kernel says of each zero-copy send that it copied it.
pub fn further_over_loopback(context: &Context) -> Result<()> {
    let document = context.further(&["--to", "loopback"])?;
    check_further(&document, 1, |further| (further.looped, further.looped_dma))
}

/// Compares the further strategies with so many copies by the CPU and by devices, and what the kernel
/// says of zero-copy sends with what it does.
fn check_further(
    document: &Document,
    copied: u64,
    expected: impl Fn(&Further) -> (f64, f64),
) -> Result<()> {
    for (further, row) in document.further_rows() {
        let (cpu, dma) = expected(further);
        row.check_further(further, cpu, dma)?;
        row.check_notifications(copied)?;
    }
    document.check_all_measured()
}

/// Datagrams for a device that drops them.
pub fn to_dummy(context: &Context) -> Result<()> {
    let names = TO_DUMMY.iter().flat_map(|(name, _)| ["--strategy", name]);
    let arguments: Vec<_> = ["--to", "dummy"].into_iter().chain(names).collect();
    let document = context.demo(&arguments)?;
    ensure!(document.environment.nic == "dummy0", "the NIC is {}", document.environment.nic);
    for ((name, cpu), row) in TO_DUMMY.iter().zip(&document.strategies) {
        ensure!(row.name == *name, "{} instead of {name}", row.name);
        nearly(name, "CPU copies", row.copies.cpu, *cpu)?;
        exactly(name, "DMA copies", row.copies.dma, 0.0)?;
        row.check_notifications(0)?;
        ensure!(row.checked_by == "device-counters", "{name} was checked by {}", row.checked_by);
    }
    if context.tier == Tier::Tracepoint { Ok(()) } else { document.check_all_measured() }
}

/// A datagram for a NIC without scatter-gather is copied once and no more, zero-copy or not, and the
/// kernel says so.
pub fn datagrams_without_scatter_gather(context: &Context) -> Result<()> {
    let names = TO_DUMMY.iter().flat_map(|(name, _)| ["--strategy", name]);
    let arguments: Vec<_> = ["--to", "nic", "--nic-sg", "off"].into_iter().chain(names).collect();
    let document = context.demo(&arguments)?;
    for (further, row) in document.further_rows() {
        nearly(&row.name, "CPU copies", row.copies.cpu, further.ungathered)?;
        row.check_notifications(1)?;
    }
    document.check_all_measured()
}

/// What is shown without function probes is what the function probes see, or nothing.
pub fn derived(context: &Context) -> Result<()> {
    type Expect = fn(&Further) -> f64;
    let runs: [(&[&str], Expect); 3] = [
        (&["--to", "nic"], |further| further.cpu),
        (&["--to", "nic", "--nic-sg", "off"], |further| further.ungathered),
        (&["--to", "loopback"], |further| further.looped),
    ];
    for (arguments, expected) in runs {
        let document = context.further(arguments)?;
        for (further, row) in document.further_rows() {
            if let Some(shown) = row.shown("cpu-copies")? {
                nearly(&row.name, "CPU copies", shown, expected(further))
                    .with_context(|| arguments.join(" "))?;
            }
        }
    }
    Ok(())
}

pub fn single_messages(context: &Context) -> Result<()> {
    let repetitions = if context.quick { FEW_REPETITIONS } else { REPETITIONS };
    for run in 1..=repetitions / IN_A_RUN {
        single_message(context).with_context(|| format!("run {run}"))?;
    }
    Ok(())
}

fn single_message(context: &Context) -> Result<()> {
    let names = STRATEGIES.iter().flat_map(|expected| ["--strategy", expected.strategy]);
    let all: Vec<_> = names.collect::<Vec<_>>().repeat(IN_A_RUN);
    let document = context.demo(&[&["--messages", "1"], all.as_slice()].concat())?;
    document.check_calls()?;
    let rows = document.rows()?;
    ensure!(rows.len() == IN_A_RUN * STRATEGIES.len(), "{} rows", rows.len());
    for (expected, row) in rows {
        // No page is touched by the program itself: without user faults, two switches a call.
        exactly(
            &row.name,
            "mode switches",
            row.per_message.mode_switches,
            2.0 * expected.calls(1.0),
        )?;
    }
    Ok(())
}

pub fn warm(context: &Context) -> Result<()> {
    let document = context.demo(&["--to", "nic", "--cache", "warm"])?;
    document.check_calls()?;
    document.check_copies(0.0, 1.0)?;
    for row in &document.strategies {
        exactly(&row.name, "copies from disk", row.sent("disk", "page-cache"), 0.0)?;
    }
    Ok(())
}

pub fn loopback(context: &Context) -> Result<()> {
    let document = context.demo(&["--to", "loopback", "--cache", "cold"])?;
    document.check_calls()?;
    document.check_copies(0.0, 1.0)?;
    document.check_all_measured()?;
    for row in &document.strategies {
        exactly(&row.name, "copies to a NIC", row.sent("socket", "nic"), 0.0)?;
    }
    Ok(())
}

pub fn without_scatter_gather(context: &Context) -> Result<()> {
    let document = context.demo(&["--to", "nic", "--nic-sg", "off"])?;
    ensure!(!document.environment.scatter_gather, "the document says scatter-gather is on");
    document.check_calls()?;
    document.check_copies(1.0, 2.0)?;
    document.check_all_measured()
}

pub fn scatter_gather_restored(context: &Context) -> Result<()> {
    let document = context.demo(&["--to", "nic", "--messages", "1"])?;
    ensure!(document.environment.scatter_gather, "scatter-gather stayed off");
    Ok(())
}

pub fn verified(context: &Context) -> Result<()> {
    let document = context.demo(&["--to", "nic", "--verify"])?;
    for (expected, row) in document.rows()? {
        row.check_verified(if expected.faults_in_copy { FAULT_TOLERANCE } else { 0.0 })?;
    }
    document.check_copies(0.0, 2.0)
}

pub fn tracepoints(context: &Context) -> Result<()> {
    let document = context.demo(&["--to", "loopback"])?;
    document.check_calls()?;
    for (expected, row) in document.rows()? {
        nearly(&row.name, "CPU copies", row.copies.cpu, expected.cpu)?;
        for movement in row.movements.iter().filter(|movement| movement.by == "cpu") {
            // A tracepoint of its own sees the receiver's copy; nothing sees the sender's.
            let provenance = if movement.side == "receiver" { "measured" } else { "derived" };
            ensure!(
                movement.provenance == provenance,
                "{}: {movement} is {} instead of {provenance}",
                row.name,
                movement.provenance
            );
        }
    }
    Ok(())
}
