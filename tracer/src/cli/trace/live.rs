//! Live figures on stderr while a program is traced: one line that changes, on a terminal only.

use std::time::{Duration, Instant};

use tracer::{
    flows::{self, Ledger},
    ledger::Mover,
};

use crate::cli::demo::progress::Progress;

/// How often it changes: slow enough to be read.
const EVERY: Duration = Duration::from_secs(1);

/// The line, and what it showed last.
pub struct Live {
    line: Progress,
    at: Instant,
    payload: u64,
    calls: u64,
}

impl Live {
    /// Shows the line.
    pub fn start() -> Self {
        Self { line: Progress::start(), at: Instant::now(), payload: 0, calls: 0 }
    }

    /// Shows what happened since the last time, once a second.
    pub fn show(&mut self, ledger: &Ledger) {
        if self.at.elapsed() < EVERY {
            return;
        }
        let total = flows::total(ledger);
        let seconds = self.at.elapsed().as_secs_f64();
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        let (payload, calls) = (total.payload_bytes, total.syscalls());
        let copies = tracer::ledger::ratio(total.bytes_by(Mover::Cpu), payload);
        self.line.say(format!(
            "{:.1} MB/s, {copies:.2} CPU copies a byte so far, {:.0} system calls/s",
            rate(payload, self.payload) / 1e6,
            rate(calls, self.calls)
        ));
        (self.at, self.payload, self.calls) = (Instant::now(), payload, calls);
    }
}
