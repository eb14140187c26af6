//! Who copies, for a terminal: the stacks with the most bytes.

use std::io;

use super::{Report, StackRow};
use crate::{
    flows::stacks::Frame,
    ledger::Provenance,
    report::{
        Style,
        table::{Lead, paragraph},
        words,
    },
};

/// Stacks that are shown.
const MOST: usize = 5;
/// Functions of the kernel that are shown of each.
const KERNEL_FRAMES: usize = 7;
/// Functions of the program.
const USER_FRAMES: usize = 4;

pub(super) fn write(report: &Report, style: &Style, out: &mut dyn io::Write) -> io::Result<()> {
    let Some(stacks) = &report.stacks else { return Ok(()) };
    let all: u64 = stacks.iter().map(|row| row.bytes).sum();
    if all == 0 {
        return Ok(());
    }
    writeln!(out, " {}\n", style.bold("Who copies"))?;
    for row in stacks.iter().take(MOST) {
        let percent = 100.0 * row.bytes as f64 / all as f64;
        let lead = format!(" {percent:>3.0} %  ");
        let lead = Lead { painted: style.bold(&lead), plain: &lead };
        paragraph(out, style, lead, &headline(row), str::to_owned)?;
        paragraph(out, style, Lead::plain("        "), &path(row), |text| style.dim(text))?;
    }
    if stacks.len() > MOST {
        let text =
            format!("and {} more, which --format folded, pprof or json shows", stacks.len() - MOST);
        paragraph(out, style, Lead::plain("        "), &text, str::to_owned)?;
    }
    writeln!(out)
}

fn headline(row: &StackRow) -> String {
    let mark = if row.provenance == Provenance::Derived { "~" } else { "" };
    let by = match row.routine.as_str() {
        "" => String::new(),
        routine => format!(" by {routine}"),
    };
    let (size, from, to) = (words::size(row.bytes), row.from, row.to);
    format!("{mark}{size}, {from} → {to}{by}, {}", row.process.comm)
}

/// From the innermost function outwards.
fn path(row: &StackRow) -> String {
    if row.kernel.is_empty() && row.user.is_empty() {
        return "no stack was seen".to_owned();
    }
    let kernel = row.kernel.iter().take_while(|frame| !is_entry(frame)).take(KERNEL_FRAMES);
    let user = row.user.iter().take(USER_FRAMES);
    let names: Vec<&str> = kernel.chain(user).map(|frame| frame.function.as_str()).collect();
    names.join(" ← ")
}

/// The way of every system call into the kernel.
fn is_entry(frame: &Frame) -> bool {
    ["x64_sys_call", "do_syscall_64", "entry_SYSCALL_64"]
        .iter()
        .any(|name| frame.function.starts_with(name))
}
