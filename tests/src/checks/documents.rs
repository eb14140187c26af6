//! The textbook's strategies: their copies, calls and mode switches.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::check::{Check, Context};
use crate::support::document::{Document, exactly, nearly};
use crate::support::expected::{FAULT_TOLERANCE, STRATEGIES};
use xtask::command;

/// Checks for every kernel.
pub const EVERYWHERE: [Check; 2] = [
    Check { name: "cold cache, NIC: the documents’ copies", run: cold_to_nic },
    Check { name: "hardware breakpoints agree", run: verified },
];

/// Checks without copies: they hold in every tier.
pub const EXACT: [Check; 1] =
    [Check { name: "one message: exact calls and mode switches", run: single_messages }];

/// One message as a picture.
pub const DRAWN: [Check; 1] =
    [Check { name: "explain: one message, drawn with the documents’ calls", run: drawn }];

/// Other conditions than the textbook's.
pub const CONDITIONS: [Check; 3] = [
    Check {
        name: "scatter-gather off: one more CPU copy; and it is on again",
        run: without_scatter_gather,
    },
    Check { name: "warm cache: no disk DMA", run: warm },
    Check { name: "loopback: no NIC DMA", run: loopback },
];

/// For a kernel with tracepoints only, without a NIC of its own.
pub const WITHOUT_FUNCTIONS: [Check; 1] =
    [Check { name: "loopback: exact calls, copies marked derived", run: tracepoints }];

/// Repetitions of single messages: an exact number is the same every time.
const REPETITIONS: usize = 20;
const FEW_REPETITIONS: usize = 5;
/// Repetitions in one run of the command.
const IN_A_RUN: usize = 5;

impl Context {
    /// Runs `copytrace demo` in this tier, for what it counts, and reads its document.
    pub fn demo(&self, arguments: &[&str]) -> Result<Document> {
        let mut demo = Command::new(&self.copytrace);
        demo.args(["demo", "--format", "json", "--tier", self.tier.name(), "--rounds", "0"]);
        demo.args(arguments);
        let text = command::stdout(&mut demo)?;
        Document::read(&text, self.tier.name())
    }
}

fn drawn(context: &Context) -> Result<()> {
    let mut explain = Command::new(&context.copytrace);
    explain.args(["explain", "read-write", "mmap-write", "sendfile"]);
    explain.args(["--tier", context.tier.name()]).env("COLUMNS", "80").env("LC_ALL", "C.UTF-8");
    let text = command::stdout(&mut explain)?;
    let wide = text.lines().find(|line| line.chars().count() > 80);
    ensure!(wide.is_none(), "wider than 80 columns: {wide:?}");
    for (calls, pictures) in
        [("2 system calls · 4 mode switches", 2), ("1 system call · 2 mode", 1)]
    {
        ensure!(text.matches(calls).count() == pictures, "{pictures} times {calls}:\n{text}");
    }
    for name in ["read()", "write()", "mmap()", "sendfile()"] {
        ensure!(text.contains(&format!("└ {name} ┘")), "no {name}:\n{text}");
    }
    Ok(())
}

fn cold_to_nic(context: &Context) -> Result<()> {
    let document = context.demo(&["--to", "nic", "--cache", "cold"])?;
    let environment = &document.environment;
    ensure!(environment.nic.contains("eth0"), "the NIC is {}", environment.nic);
    ensure!(environment.scatter_gather, "scatter-gather is off");
    document.check_calls()?;
    document.check_copies(0.0, 2.0)?;
    document.check_all_measured()?;
    document.check_verdicts()
}

fn single_messages(context: &Context) -> Result<()> {
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
        // The program itself touches no page: without user faults, two switches a call.
        exactly(
            &row.name,
            "mode switches",
            row.per_message.mode_switches,
            2.0 * expected.calls(1.0),
        )?;
    }
    Ok(())
}

fn warm(context: &Context) -> Result<()> {
    let document = context.demo(&["--to", "nic", "--cache", "warm"])?;
    document.check_calls()?;
    document.check_copies(0.0, 1.0)?;
    for row in &document.strategies {
        exactly(&row.name, "copies from disk", row.sent("disk", "page-cache"), 0.0)?;
    }
    Ok(())
}

fn loopback(context: &Context) -> Result<()> {
    let document = context.demo(&["--to", "loopback", "--cache", "cold"])?;
    document.check_calls()?;
    document.check_copies(0.0, 1.0)?;
    document.check_all_measured()?;
    for row in &document.strategies {
        exactly(&row.name, "copies to a NIC", row.sent("socket", "nic"), 0.0)?;
    }
    Ok(())
}

fn without_scatter_gather(context: &Context) -> Result<()> {
    let document = context.demo(&["--to", "nic", "--nic-sg", "off"])?;
    ensure!(!document.environment.scatter_gather, "the document says scatter-gather is on");
    document.check_calls()?;
    document.check_copies(1.0, 2.0)?;
    document.check_all_measured()?;
    scatter_gather_restored(context)
}

pub fn scatter_gather_restored(context: &Context) -> Result<()> {
    let document = context.demo(&["--to", "nic", "--messages", "1"])?;
    ensure!(document.environment.scatter_gather, "scatter-gather stayed off");
    Ok(())
}

fn verified(context: &Context) -> Result<()> {
    let document = context.demo(&["--to", "nic", "--verify"])?;
    for (expected, row) in document.rows()? {
        row.check_verified(if expected.faults_in_copy { FAULT_TOLERANCE } else { 0.0 })?;
    }
    document.check_copies(0.0, 2.0)
}

fn tracepoints(context: &Context) -> Result<()> {
    let document = context.demo(&["--to", "loopback"])?;
    document.check_calls()?;
    for (expected, row) in document.rows()? {
        nearly(&row.name, "CPU copies", row.copies.cpu, expected.cpu)?;
        for movement in row.movements.iter().filter(|movement| movement.by == "cpu") {
            // Copies out of packets have a tracepoint; the others are derived.
            let provenance = if movement.from == "socket" { "measured" } else { "derived" };
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
