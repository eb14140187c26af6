//! Folded stacks, as flame graphs are made of: a line a stack, from the program to the routine that
//! copied, and the bytes it copied.

use std::io;

use super::{Report, StackRow};
use crate::Provenance;

/// The suffix of kernel functions, as in perf's folding script.
const KERNEL: &str = "_[k]";

/// The place of a stack that was not seen.
const NO_STACK: &str = "[no stack]";

pub(super) fn write(report: &Report, out: &mut dyn io::Write) -> io::Result<()> {
    for row in report.stacks.iter().flatten() {
        writeln!(out, "{} {}", line(row), row.bytes)?;
    }
    Ok(())
}

fn line(row: &StackRow) -> String {
    let user = row.user.iter().rev().map(|frame| frame.function.clone());
    let kernel = row.kernel.iter().rev().map(|frame| format!("{}{KERNEL}", frame.function));
    let mut functions = vec![row.process.comm.clone()];
    functions.extend(user.chain(kernel));
    functions.push(match (row.routine.as_str(), row.provenance) {
        ("", _) => NO_STACK.to_owned(),
        (routine, Provenance::Measured) => format!("{routine}{KERNEL}"),
        (call, Provenance::Derived) => format!("{call}, derived{KERNEL}"),
    });
    let clean = functions.iter().map(|name| name.replace(';', ":"));
    clean.collect::<Vec<_>>().join(";")
}
