//! A report for formats that cannot hold every name as it is.

use super::{End, Report};
use crate::{flows::stacks::Frame, report::escape::plain};

impl Report {
    /// The same, every name in one line, and without what controls a terminal.
    pub(super) fn plain(&self) -> Self {
        let mut report = self.clone();
        let words: Vec<_> = report.target.split_whitespace().collect();
        report.target = words.join(" ");
        clean(&mut report.target);
        clean(&mut report.environment.kernel);
        report.warnings.iter_mut().for_each(|warning| clean(&mut warning.text));
        let in_short = report.shown.iter_mut().chain(&mut report.left_out);
        for flow in report.flows.iter_mut().chain(in_short) {
            clean(&mut flow.process.comm);
            for End { name, .. } in [&mut flow.source, &mut flow.destination] {
                clean(name);
            }
            let calls = std::mem::take(&mut flow.syscalls).into_iter();
            flow.syscalls = calls.map(|(name, made)| (plain(&name).into_owned(), made)).collect();
            // It names witnesses.
            clean(&mut flow.verdict.evidence);
        }
        report.jvm_copies.iter_mut().for_each(|row| clean(&mut row.process.comm));
        for stack in report.stacks.iter_mut().flatten() {
            clean(&mut stack.process.comm);
            clean(&mut stack.routine);
            for Frame { function, module } in stack.kernel.iter_mut().chain(&mut stack.user) {
                clean(function);
                clean(module);
            }
        }
        report
    }
}

fn clean(text: &mut String) {
    if let std::borrow::Cow::Owned(plain) = plain(text) {
        *text = plain;
    }
}
