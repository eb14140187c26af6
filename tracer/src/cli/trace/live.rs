//! Live figures on stderr while a program is traced: one line that changes, on a terminal only.

use std::time::{Duration, Instant};

use tracer_ledger::report::flows::Total;

use crate::cli::progress::Progress;

/// The interval of updates: slow enough to be read.
const EVERY: Duration = Duration::from_secs(1);

/// Computing the line may take this fraction of the time.
const SHARE: u32 = 20;

/// The line, and its last content.
pub struct Live {
    /// None while other programs may write to the terminal.
    line: Option<Progress>,
    at: Instant,
    /// The time it took to add that up: with very many flows the updates are less frequent.
    took: Duration,
    payload: u64,
    calls: u64,
}

impl Live {
    /// Shows the line.
    pub fn start() -> Self {
        let (at, took) = (Instant::now(), Duration::ZERO);
        Self { line: Some(Progress::start()), at, took, payload: 0, calls: 0 }
    }

    /// Shows the traffic since the last call, once a second. `total`: all until now.
    pub fn show(&mut self, total: impl FnOnce() -> Total) {
        if self.at.elapsed() < EVERY.max(self.took * SHARE) {
            return;
        }
        let start = Instant::now();
        let total = total();
        self.took = start.elapsed();
        let seconds = self.at.elapsed().as_secs_f64();
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        let (payload, calls) = (total.payload_bytes, total.syscalls);
        let copies = tracer_ledger::ratio(total.cpu_copied_bytes, payload);
        self.line.get_or_insert_with(Progress::start).say(format!(
            "{:.1} MB/s, {copies:.2} CPU copies per byte so far, {:.0} system calls/s",
            rate(payload, self.payload) / 1e6,
            rate(calls, self.calls)
        ));
        (self.at, self.payload, self.calls) = (Instant::now(), payload, calls);
    }

    /// Removes the line until there is something to show again.
    pub fn hide(&mut self) {
        self.line = None;
    }
}
