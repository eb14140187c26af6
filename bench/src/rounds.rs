//! The rounds: every case once, one after the other, each round beginning with another one.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::case::{Case, Setup, Start};
use super::load::{self, Strength};
use super::process::cpu_seconds;
use super::programs;
use super::server::Server;
use super::situation::Situation;
use super::tools::Program;
use xtask::say::note;

/// The measurement of one case in one round.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    /// Answered requests per second.
    pub requests_per_second: f64,
    /// CPU time of the server, microseconds per request.
    pub server_cpu_us: f64,
    /// The run time of the tracer's BPF programs, on all CPUs, microseconds per request.
    pub programs_us: Option<f64>,
    /// CPU time of the tracer's own process during the load, microseconds per request.
    pub tracer_cpu_us: f64,
    /// Requests the tracer saw, per answered one.
    pub seen: Option<f64>,
    /// copytrace's tier.
    pub tier: Option<String>,
}

/// All samples of one situation.
pub struct Measured {
    /// The load on the server.
    pub situation: Situation,
    /// By round; none where the case could not be measured.
    pub samples: BTreeMap<Case, Vec<Option<Sample>>>,
}

/// The set-up of the measurement.
pub struct Bench {
    /// The settings of the tracers.
    pub setup: Setup,
    /// The server's program.
    pub nginx: Program,
    /// The load's program.
    pub wrk: Program,
    /// Worker processes of the server.
    pub workers: u32,
    /// The load.
    pub strength: Strength,
    /// The cases, first the untraced one.
    pub cases: Vec<Case>,
    /// The reason why a case cannot be measured here.
    pub refused: BTreeMap<Case, String>,
}

impl Bench {
    /// Measures all.
    pub fn run(&mut self, situations: &[Situation], rounds: u32) -> Result<Vec<Measured>> {
        let empty = |&situation| Measured { situation, samples: BTreeMap::new() };
        let mut all: Vec<_> = situations.iter().map(empty).collect();
        for round in 0..rounds {
            for measured in &mut all {
                note(&format!("round {} of {rounds}: {}", round + 1, measured.situation.text()));
                self.round(round as usize, measured)?;
            }
        }
        Ok(all)
    }

    fn round(&mut self, round: usize, measured: &mut Measured) -> Result<()> {
        let server = Server::start(&self.nginx, measured.situation, self.workers)?;
        for case in rotated(&self.cases, round) {
            let sample = self
                .sample(case, measured.situation, &server)
                .with_context(|| format!("{}, {}", case.text(), measured.situation.text()))?;
            measured.samples.entry(case).or_default().push(sample);
        }
        server.stop()
    }

    fn sample(
        &mut self,
        case: Case,
        situation: Situation,
        server: &Server,
    ) -> Result<Option<Sample>> {
        if self.refused.contains_key(&case) {
            return Ok(None);
        }
        let programs_of_others = programs::loaded()?;
        let tracer = match case.attach(&self.setup, server)? {
            None => None,
            Some(Start::Attached(tracer)) => Some(tracer),
            Some(Start::Refused(reason)) => {
                note(&format!("{}: cannot be measured here: {reason}", case.text()));
                self.refused.insert(case, reason);
                return Ok(None);
            }
        };
        let pids = server.pids();
        let tracers: Vec<_> = tracer.iter().map(super::case::Attached::pid).collect();
        let (server_before, tracer_before) = (cpu_seconds(&pids)?, cpu_seconds(&tracers)?);
        let answered = load::apply(&self.wrk, self.strength, server)?;
        let (server_after, tracer_after) = (cpu_seconds(&pids)?, cpu_seconds(&tracers)?);
        let requests = answered.requests as f64;
        let programs = match case.has_programs() {
            true => Some(self.programs(&programs_of_others, server)?),
            false => None,
        };
        let asked = requests + programs.map_or(0.0, |(_, requests)| requests);
        let seen = tracer
            .map(|tracer| tracer.finish(situation, asked, self.strength.connections))
            .transpose()?;
        server.check()?;
        let sample = Sample {
            requests_per_second: requests / answered.seconds,
            server_cpu_us: (server_after - server_before) / requests * 1e6,
            tracer_cpu_us: (tracer_after - tracer_before) / requests * 1e6,
            programs_us: programs.map(|(microseconds, _)| microseconds),
            seen: seen.as_ref().map(|seen| seen.requests / asked),
            tier: seen.and_then(|seen| seen.tier),
        };
        note(&format!(
            "  {}: {:.0} requests/s, {:.1} µs of nginx’s CPU time each",
            case.text(),
            sample.requests_per_second,
            sample.server_cpu_us
        ));
        Ok(Some(sample))
    }

    /// The run time of the tracer's programs per request, in microseconds, and the number of requests
    /// measured.
    fn programs(&self, of_others: &BTreeSet<u32>, server: &Server) -> Result<(f64, f64)> {
        let _counting = programs::count_time()?;
        let before = programs::time_without(of_others)?;
        let strength = Strength { seconds: SECONDS_FOR_PROGRAMS, ..self.strength };
        let requests = load::apply(&self.wrk, strength, server)?.requests as f64;
        let took = programs::time_without(of_others)?.saturating_sub(before);
        Ok((took.as_secs_f64() / requests * 1e6, requests))
    }
}

/// The duration of the load while the kernel counts the run time of programs.
const SECONDS_FOR_PROGRAMS: u32 = 1;

/// The cases in a round's order.
fn rotated(cases: &[Case], round: usize) -> Vec<Case> {
    let mut cases = cases.to_vec();
    let first = round % cases.len().max(1);
    cases.rotate_left(first);
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_begins_with_another_case() {
        let cases = [Case::Untraced, Case::Copytrace, Case::Strace];
        assert_eq!(rotated(&cases, 0), cases);
        assert_eq!(rotated(&cases, 1), [Case::Copytrace, Case::Strace, Case::Untraced]);
        assert_eq!(rotated(&cases, 3), cases);
    }
}
