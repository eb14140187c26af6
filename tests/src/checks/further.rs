//! Further strategies, which the textbook does not cover.

use anyhow::{Context as _, Result, ensure};

use crate::check::{Check, Context, Tier};
use crate::support::document::{Document, exactly, nearly};
use crate::support::expected::{FURTHER, Further, TO_DUMMY as SENT_TO_DUMMY};

/// For kernels where all functions can be probed, with a disk and two NICs.
pub const CHECKS: [Check; 3] = [
    Check {
        name: "further strategies: their copies, and hardware breakpoints agree",
        run: further_strategies,
    },
    Check { name: "further strategies over loopback: late copies", run: further_over_loopback },
    Check {
        name: "scatter-gather off: one copy of datagrams, and the kernel says so",
        run: datagrams_without_scatter_gather,
    },
];

/// For kernels where functions are not probed.
pub const DERIVED: [Check; 1] =
    [Check { name: "further strategies: nothing wrong is derived", run: derived }];

/// In every tier.
pub const TO_DUMMY: [Check; 1] =
    [Check { name: "dummy device: zero-copy datagrams, to the end", run: to_dummy }];

impl Context {
    /// The document of all further strategies.
    fn further(&self, arguments: &[&str]) -> Result<Document> {
        let names = FURTHER.iter().flat_map(|further| ["--strategy", further.strategy]);
        // What is counted of a message does not depend on how many there are.
        let messages = ["--messages", if self.quick { "16" } else { "256" }];
        let arguments: Vec<_> = arguments.iter().copied().chain(messages).chain(names).collect();
        let document = self.demo(&arguments)?;
        ensure!(document.further_rows().count() == FURTHER.len(), "rows are missing");
        Ok(document)
    }
}

/// The strategy without a row in the table of copies: to a NIC its copies differ from run to run.
const UNSTEADY: &str = "recv-zerocopy";

/// Also verifies all strategies with hardware breakpoints.
fn further_strategies(context: &Context) -> Result<()> {
    let arguments = ["--to", "nic", "--verify", "--strategy", UNSTEADY];
    let document = context.further(&arguments)?;
    document.strategies.iter().try_for_each(|row| row.check_verified(0.0))?;
    check_further(&document, 0, |further| (further.cpu, further.dma))
}

/// The kernel reports that it copied each zero-copy send.
fn further_over_loopback(context: &Context) -> Result<()> {
    let document = context.further(&["--to", "loopback"])?;
    check_further(&document, 1, |further| (further.looped, further.looped_dma))
}

/// Compares the copies of the further strategies, by the CPU and by devices, with the expected ones, and
/// the kernel's notifications of zero-copy sends with its copies.
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
fn to_dummy(context: &Context) -> Result<()> {
    let names = SENT_TO_DUMMY.iter().flat_map(|(name, _)| ["--strategy", name]);
    let arguments: Vec<_> = ["--to", "dummy"].into_iter().chain(names).collect();
    let document = context.demo(&arguments)?;
    ensure!(document.environment.nic == "dummy0", "the NIC is {}", document.environment.nic);
    for ((name, cpu), row) in SENT_TO_DUMMY.iter().zip(&document.strategies) {
        ensure!(row.name == *name, "{} instead of {name}", row.name);
        nearly(name, "CPU copies", row.copies.cpu, *cpu)?;
        exactly(name, "DMA copies", row.copies.dma, 0.0)?;
        row.check_notifications(0)?;
        ensure!(row.checked_by == "device-counters", "{name} was checked by {}", row.checked_by);
    }
    if context.tier == Tier::Tracepoint { Ok(()) } else { document.check_all_measured() }
}

/// A datagram for a NIC without scatter-gather is copied exactly once, zero-copy or not, and the kernel
/// reports it.
fn datagrams_without_scatter_gather(context: &Context) -> Result<()> {
    let names = SENT_TO_DUMMY.iter().flat_map(|(name, _)| ["--strategy", name]);
    let arguments: Vec<_> = ["--to", "nic", "--nic-sg", "off"].into_iter().chain(names).collect();
    let document = context.demo(&arguments)?;
    for (further, row) in document.further_rows() {
        nearly(&row.name, "CPU copies", row.copies.cpu, further.ungathered)?;
        row.check_notifications(1)?;
    }
    document.check_all_measured()
}

/// Numbers shown without function probes are those of the function probes, or missing.
fn derived(context: &Context) -> Result<()> {
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
