//! Live figures on stderr while a program is traced: one line that changes, on a terminal only.

use std::time::{Duration, Instant};

use tracer::report::flows::Total;

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

    /// Shows what happened since the last time, once a second. `total`: all until now.
    pub fn show(&mut self, total: impl FnOnce() -> Total) {
        if self.at.elapsed() < EVERY {
            return;
        }
        let total = total();
        let seconds = self.at.elapsed().as_secs_f64();
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        let (payload, calls) = (total.payload_bytes, total.syscalls);
        let copies = tracer::ledger::ratio(total.cpu_copied_bytes, payload);
        self.line.say(format!(
            "{:.1} MB/s, {copies:.2} CPU copies a byte so far, {:.0} system calls/s",
            rate(payload, self.payload) / 1e6,
            rate(calls, self.calls)
        ));
        (self.at, self.payload, self.calls) = (Instant::now(), payload, calls);
    }

    /// Does what may write to the terminal, too.
    pub fn aside<T>(&self, work: impl FnOnce() -> T) -> T {
        self.line.aside(work)
    }
}
