//! Rounds without probes: how long each strategy takes, and how much CPU time.

use std::path::Path;

use anyhow::Context;
use tracer_ledger::Round;
use workloads::{
    Cache, Error, Outcome, PayloadFile, Receiver, Shape, Strategy,
    driver::{Sender, SenderSpec},
};

use crate::cli::{bundled::SELF, progress::Progress};

/// The same for every strategy.
pub struct Setting<'a> {
    /// How many messages, and how long.
    pub shape: Shape,
    /// Where they are before.
    pub cache: Cache,
    /// Where their file is made.
    pub dir: &'a Path,
    /// Who they are sent to.
    pub to: Receiver,
}

/// The strategies, and their rounds until now.
pub struct Timing<'a> {
    setting: Setting<'a>,
    timed: Vec<(&'static Strategy, Vec<Round>)>,
    payload: Option<PayloadFile>,
}

impl<'a> Timing<'a> {
    /// No round yet.
    pub fn new(strategies: &[&'static Strategy], setting: Setting<'a>) -> Self {
        let timed = strategies.iter().map(|strategy| (*strategy, Vec::new())).collect();
        Self { setting, timed, payload: None }
    }

    /// Makes some rounds of each strategy, while no probe is attached. In a round they follow each other, and
    /// another one is the first each time.
    pub async fn run(
        &mut self,
        rounds: std::ops::Range<u64>,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        for round in rounds {
            progress.say(format!("timing without probes, round {}", round + 1));
            let count = self.timed.len();
            for index in (0..count).map(|index| (index + round as usize) % count) {
                let strategy = self.timed[index].0.name;
                let outcome = match self.send(strategy).await {
                    // Its row has the reason.
                    Err(Error::Unsupported { .. }) => continue,
                    sent => sent.with_context(|| strategy.to_owned())?,
                };
                self.timed[index].1.push(Round {
                    seconds: outcome.arrived_ns as f64 / 1e9,
                    cpu_seconds: outcome.cpu_ns as f64 / 1e9,
                });
            }
        }
        Ok(())
    }

    /// The rounds of each strategy.
    pub fn rounds(self) -> impl Iterator<Item = Vec<Round>> {
        self.timed.into_iter().map(|(_, rounds)| rounds)
    }

    /// Sends a file that was sent before, which takes less time than to make one. What packets of the last
    /// transfer still refer to, if anything, cannot be dropped from the page cache: then it is another one.
    async fn send(&mut self, strategy: &str) -> workloads::Result<Outcome> {
        let mut sender = self.prepare(strategy).await?;
        if self.setting.cache == Cache::Cold && sender.cached_bytes() > 0 {
            self.payload = None;
            sender = self.prepare(strategy).await?;
        }
        sender.go().await
    }

    async fn prepare(&mut self, strategy: &str) -> workloads::Result<Sender> {
        let Setting { shape, cache, dir, to } = self.setting;
        let payload = match self.payload.take() {
            Some(payload) => payload,
            None => PayloadFile::create(dir, shape, rand::random())?,
        };
        let payload = self.payload.insert(payload);
        Sender::prepare(Path::new(SELF), &SenderSpec { strategy, payload, to, cache }).await
    }
}
