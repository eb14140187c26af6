//! Writes reports in a thread of its own: if their reader stops reading, neither the traced programs nor
//! the user wait for it.

use std::{
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Duration,
};

use anyhow::{Context, bail};
use tokio::sync::oneshot;
use tracer_ledger::{expect::Expectation, report::flows::Recording};

use super::{Results, signals::Signals};
use crate::cli::say;

/// The time the last report has before a signal ends this program without it.
const PATIENCE: Duration = Duration::from_secs(2);

/// Reports to be written.
pub struct Writer {
    reports: Sender<Work>,
    /// Receives the result of the report being written.
    busy: Option<oneshot::Receiver<anyhow::Result<()>>>,
}

/// A report to write.
struct Work {
    recording: Recording,
    /// For the last report, which is also recorded: the results of the rules.
    expectations: Option<Vec<Expectation>>,
    written: oneshot::Sender<anyhow::Result<()>>,
}

impl Writer {
    /// Starts the thread, with the capabilities of this one.
    pub fn start(results: Results) -> Self {
        let (reports, work) = channel();
        thread::spawn(move || write_all(results, work));
        Self { reports, busy: None }
    }

    /// Whether a report is being written still.
    pub fn is_busy(&mut self) -> bool {
        if let Some(written) = &mut self.busy
            && !matches!(written.try_recv(), Err(oneshot::error::TryRecvError::Empty))
        {
            self.busy = None;
        }
        self.busy.is_some()
    }

    /// Begins to write a report until now.
    pub fn begin(&mut self, recording: Recording) {
        self.busy = Some(self.send(recording, None));
    }

    /// Writes all results, after the one being written. If that takes long, a signal ends it.
    pub async fn finish(
        self,
        recording: Recording,
        expectations: Vec<Expectation>,
        signals: &mut Signals,
    ) -> anyhow::Result<()> {
        let mut written = self.send(recording, Some(expectations));
        let ended = "the thread that writes the report ended";
        if let Ok(written) = tokio::time::timeout(PATIENCE, &mut written).await {
            return written.context(ended)?;
        }
        say("copytrace: the report is being written still; Ctrl-C ends copytrace without it");
        tokio::select! {
            written = written => written.context(ended)?,
            _ = signals.next() => bail!(
                "a signal came before the report was written: who reads it has stopped to, so that it \
                 is lost"
            ),
        }
    }

    fn send(
        &self,
        recording: Recording,
        expectations: Option<Vec<Expectation>>,
    ) -> oneshot::Receiver<anyhow::Result<()>> {
        let (written, answer) = oneshot::channel();
        // If the thread has ended, there is no answer, which is reported.
        let _ = self.reports.send(Work { recording, expectations, written });
        answer
    }
}

/// A failed write of a report in between is reported: only the last one is repeated.
fn write_all(mut results: Results, work: Receiver<Work>) {
    let mut failed = false;
    for Work { recording, expectations, written } in work {
        if let Some(expectations) = expectations {
            // If the receiver has given up, the result is dropped.
            let _ = written.send(results.write(&recording, expectations));
            return;
        }
        if !failed && let Err(error) = results.report_until_now(&recording) {
            failed = true;
            say(&format!("copytrace: {error:#}; tracing goes on until the report at the end"));
        }
        let _ = written.send(Ok(()));
    }
}
