//! A tracer's own account: it must have seen the traffic, or "no overhead" might only mean that nothing
//! was traced.

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

/// x86-64's `openat`, as bpftrace's map has it. nginx opens the file once for each request.
const OPENAT: &str = "257";

/// The least part of the traffic that a tracer must have seen; less means that it did not trace.
const LEAST: f64 = 0.5;

/// The most, as a multiple of the traffic.
const MOST: f64 = 2.0;

/// copytrace reports lost events, and so must have seen all of the traffic.
const LEAST_OF_COPYTRACE: f64 = 0.99;

/// strace's table: `% time, seconds, usecs/call, calls, [errors,] syscall`.
pub fn of_strace(table: &str) -> Result<f64> {
    let rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let opens = rows.filter(|row| row.last() == Some(&"openat"));
    sum(opens.filter_map(|row| row.get(3).copied()))
}

/// perf's tables, one a thread: `syscall, calls, errors, …`.
pub fn of_perf(tables: &str) -> Result<f64> {
    let rows = tables.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let opens = rows.filter(|row| row.first() == Some(&"openat"));
    sum(opens.filter_map(|row| row.get(1).copied()))
}

/// bpftrace's map: `@calls[PID, NUMBER]: COUNT`.
pub fn of_bpftrace(maps: &str) -> Result<f64> {
    let counts = maps.lines().filter_map(|line| {
        let (key, count) = line.strip_prefix("@calls[")?.split_once("]: ")?;
        let (_, number) = key.split_once(", ")?;
        (number == OPENAT).then_some(count)
    });
    sum(counts)
}

fn sum<'a>(counts: impl Iterator<Item = &'a str>) -> Result<f64> {
    let counts = counts.map(str::parse).collect::<Result<Vec<u64>, _>>();
    Ok(counts.context("a count is no number")?.into_iter().sum::<u64>() as f64)
}

/// The part of `copytrace attach --format json` that is used.
#[derive(Deserialize)]
struct Document {
    environment: Environment,
    lost_events: u64,
    flows: Vec<Flow>,
}

#[derive(Deserialize)]
struct Environment {
    tier: String,
}

#[derive(Deserialize)]
struct Flow {
    source: End,
    destination: End,
    payload_bytes: u64,
}

#[derive(Deserialize)]
struct End {
    kind: String,
}

/// copytrace's account of files that went to sockets, and its tier.
pub fn of_copytrace(document: &str, file_bytes: u64) -> Result<(f64, String)> {
    let document: Document = serde_json::from_str(document).context("the report is no JSON")?;
    ensure!(document.lost_events == 0, "{} events were lost", document.lost_events);
    let served = document
        .flows
        .iter()
        .filter(|flow| flow.source.kind == "file" && flow.destination.kind == "tcp");
    let bytes: u64 = served.map(|flow| flow.payload_bytes).sum();
    Ok((bytes as f64 / file_bytes as f64, document.environment.tier))
}

/// Whether the requests seen are those made: the answered ones, and those under way when the load ended.
pub fn check(seen: f64, requests: f64, connections: u32, complete: bool) -> Result<()> {
    let least = requests * if complete { LEAST_OF_COPYTRACE } else { LEAST };
    let most = (requests + f64::from(connections)) * MOST;
    if seen < least || seen > most {
        bail!("it saw {seen:.0} requests where {requests:.0} were answered");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strace_s_table_is_read() {
        let table = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 61.72    0.318854          21     14862         1 writev
  1.34    0.006915          14       466           openat
  0.85    0.004368           9       467         3 openat
";
        assert_eq!(of_strace(table).unwrap(), 933.0);
        assert_eq!(of_strace("").unwrap(), 0.0);
    }

    #[test]
    fn perf_s_tables_are_read() {
        let tables = "\
 nginx (6000), 67351 events, 100.0%

   syscall            calls  errors  total       min       avg       max       stddev
   --------------- --------  ------ -------- --------- --------- ---------     ------
   writev             15785      7   512.266     0.016     0.032     0.298      0.32%
   openat               499      0    13.102     0.017     0.026     0.219      1.96%

 nginx (6001), 12 events, 0.0%
   openat                 1      0     0.102     0.017     0.026     0.219      1.96%
";
        assert_eq!(of_perf(tables).unwrap(), 500.0);
    }

    #[test]
    fn bpftrace_s_map_is_read() {
        let maps = "Attaching 2 probes...\n\n@bytes[6000, 257]: 23803\n@calls[6000, 17]: 42336\n\
                    @calls[6000, 257]: 1323\n@calls[6001, 257]: 7\n";
        assert_eq!(of_bpftrace(maps).unwrap(), 1330.0);
    }

    #[test]
    fn copytrace_s_flows_are_read() {
        let document = |lost| {
            format!(
                r#"{{"environment": {{"tier": "fentry"}}, "lost_events": {lost}, "flows": [
                {{"source": {{"kind": "file"}}, "destination": {{"kind": "tcp"}}, "payload_bytes": 3072}},
                {{"source": {{"kind": "tcp"}}, "destination": {{"kind": "memory"}}, "payload_bytes": 9}}]}}"#
            )
        };
        assert_eq!(of_copytrace(&document(0), 1024).unwrap(), (3.0, "fentry".to_owned()));
        assert!(of_copytrace(&document(1), 1024).is_err());
    }

    #[test]
    fn a_tracer_that_saw_nothing_is_an_error() {
        let answered = 100.0;
        assert!(check(0.0, answered, 16, false).is_err());
        assert!(check(100.0, answered, 16, true).is_ok());
        assert!(check(98.0, answered, 16, true).is_err());
        assert!(check(60.0, answered, 16, false).is_ok());
        assert!(check(300.0, answered, 16, true).is_err());
    }
}
