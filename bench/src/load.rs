//! The load: wrk, for a fixed time.

use std::fs::File;

use anyhow::{Context as _, Result, bail, ensure};

use super::process::{Running, read};
use super::server::Server;
use super::tools::Program;

/// The time limit of an answer: far longer than under emulation.
const ANSWER_SECONDS: u32 = 60;

/// The answers of the server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answered {
    /// Requests that were answered.
    pub requests: u64,
    /// In how many seconds.
    pub seconds: f64,
}

/// The strength of the load.
#[derive(Clone, Copy)]
pub struct Strength {
    /// Threads of the generator.
    pub threads: u32,
    /// Connections of all threads together.
    pub connections: u32,
    /// For how long.
    pub seconds: u32,
}

/// Sends requests as fast as the server answers.
pub fn apply(wrk: &Program, strength: Strength, server: &Server) -> Result<Answered> {
    let output = server.folder().join("wrk");
    let mut command = wrk.command();
    let connections = strength.connections.max(strength.threads);
    command.args([
        format!("-t{}", strength.threads),
        format!("-c{connections}"),
        format!("-d{}s", strength.seconds),
        format!("--timeout={ANSWER_SECONDS}s"),
    ]);
    command.arg(server.url()).stdout(File::create(&output)?);
    let running = Running::start(command, "wrk", server.folder())?;
    running.finish()?;
    let said = read(&output)?;
    parse(&said).with_context(|| format!("wrk said:\n{said}"))
}

/// wrk's `N requests in T, … read`, if every request was answered.
fn parse(said: &str) -> Result<Answered> {
    for trouble in ["Socket errors:", "Non-2xx"] {
        if let Some(line) = said.lines().find(|line| line.trim_start().starts_with(trouble)) {
            bail!("not every request was answered: {}", line.trim());
        }
    }
    let line = said.lines().find(|line| line.contains(" requests in "));
    let (requests, rest) = line.and_then(|line| line.split_once(" requests in ")).context("?")?;
    let requests = requests.trim().parse()?;
    let seconds = seconds(rest.split(',').next().unwrap_or_default()).context("no time")?;
    ensure!(requests > 0 && seconds > 0.0, "no request was answered");
    Ok(Answered { requests, seconds })
}

/// A time in wrk's format.
fn seconds(time: &str) -> Option<f64> {
    let units = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    units.iter().find_map(|(unit, size)| Some(time.strip_suffix(unit)?.parse::<f64>().ok()? * size))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The output of wrk 4.1.0.
    const SAID: &str = "Running 2s test @ http://127.0.0.1:8999/small
  1 threads and 8 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   650.95us    1.05ms  12.63ms   94.61%
    Req/Sec    13.61k     1.48k   15.46k    80.00%
  27091 requests in 2.01s, 33.39MB read
Requests/sec:  13494.12
Transfer/sec:     16.63MB
";

    #[test]
    fn the_requests_and_the_time_are_read() {
        assert_eq!(parse(SAID).unwrap(), Answered { requests: 27_091, seconds: 2.01 });
        let minutes = SAID.replace("2.01s", "1.50m");
        assert_eq!(parse(&minutes).unwrap().seconds, 90.0);
    }

    #[test]
    fn a_request_without_an_answer_is_an_error() {
        for line in [
            "  Socket errors: connect 0, read 3, write 0, timeout 0\n",
            "  Non-2xx or 3xx responses: 27091\n",
        ] {
            let said = format!("{SAID}{line}");
            assert!(parse(&said).unwrap_err().to_string().contains(line.trim()));
        }
        assert!(parse("").is_err());
        assert!(parse(&SAID.replace("27091", "0")).is_err());
    }
}
