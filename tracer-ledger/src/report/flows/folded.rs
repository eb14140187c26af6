//! Folded stacks, as flame graphs are made of: a line a stack, from the program to the routine that
//! copied, and the bytes it copied.

use std::io;

use super::{Report, StackRow};
use crate::{Provenance, report::html::Layer};

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
    let part = |(layer, name): (Layer, String)| match layer {
        Layer::Kernel | Layer::Copy => format!("{name}{KERNEL}"),
        Layer::Program | Layer::User | Layer::Unknown => name,
    };
    let clean = frames(row).into_iter().map(|frame| part(frame).replace(';', ":"));
    clean.collect::<Vec<_>>().join(";")
}

/// From the program to the routine that copied.
pub(super) fn frames(row: &StackRow) -> Vec<(Layer, String)> {
    let user = row.user.iter().rev().map(|frame| (Layer::User, frame.function.clone()));
    let kernel = row.kernel.iter().rev().map(|frame| (Layer::Kernel, frame.function.clone()));
    let mut frames = vec![(Layer::Program, row.process.comm.clone())];
    frames.extend(user.chain(kernel));
    frames.push(match (row.routine.as_str(), row.provenance) {
        ("", _) => (Layer::Unknown, NO_STACK.to_owned()),
        (routine, Provenance::Measured) => (Layer::Copy, routine.to_owned()),
        (call, Provenance::Derived) => (Layer::Copy, format!("{call}, derived")),
    });
    frames
}
