//! The result, as a document and as a table.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use super::Options;
use super::case::Case;
use super::numbers::{Spread, ratios};
use super::rounds::{Bench, Measured, Sample};
use super::situation::Situation;
use super::tools::{BPFTRACE, NGINX, PERF, STRACE, WRK};
use xtask::cache::Cache;

/// The machine of the measurement.
#[derive(Serialize)]
pub struct Environment {
    kernel: String,
    processor: String,
    cpus: u32,
    /// Worker processes of the server; its master answers nothing.
    workers: u32,
    emulated: bool,
    /// The mean number of runnable tasks in the minute before the first round.
    load_before: f64,
    versions: BTreeMap<&'static str, String>,
}

/// The whole result.
#[derive(Serialize)]
pub struct Document {
    schema: &'static str,
    environment: Environment,
    rounds: u32,
    seconds: u32,
    connections: u32,
    /// The tier of copytrace.
    tier: Option<String>,
    situations: Vec<Rows>,
}

#[derive(Serialize)]
struct Rows {
    name: Situation,
    text: &'static str,
    cases: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: Case,
    /// The reason why it was not measured.
    skipped: Option<String>,
    requests_per_second: Option<Spread>,
    /// Ratio to the untraced case of the same round.
    requests_ratio: Option<Spread>,
    server_cpu_us_per_request: Option<Spread>,
    /// Ratio to the untraced case of the same round.
    server_cpu_ratio: Option<Spread>,
    tracer_cpu_us_per_request: Option<Spread>,
    /// The run time of the tracer's BPF programs, on all CPUs.
    programs_us_per_request: Option<Spread>,
    /// Requests the tracer saw, per answered one.
    seen: Option<Spread>,
    /// The number of rounds in which copytrace cost the server less CPU time per request.
    copytrace_cheaper_in: Option<u32>,
    samples: Vec<Option<Sample>>,
}

impl Environment {
    /// Looks at this machine.
    pub fn look(cache: &Cache, cpus: u32, workers: u32) -> Self {
        let file = |path| std::fs::read_to_string(path).unwrap_or_default();
        let tools = [("nginx", NGINX), ("wrk", WRK), ("strace", STRACE), ("perf", PERF)];
        let tools = tools.into_iter().chain([("bpftrace", BPFTRACE)]);
        let load = file("/proc/loadavg");
        Self {
            kernel: file("/proc/sys/kernel/osrelease").trim().to_owned(),
            processor: processor(&file("/proc/cpuinfo")),
            cpus,
            workers,
            emulated: is_emulated(),
            load_before: load.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0),
            versions: tools.map(|(name, tool)| (name, tool.version(cache))).collect(),
        }
    }
}

fn processor(cpuinfo: &str) -> String {
    let line = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
    let name = line.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim());
    name.unwrap_or("unknown processor").to_owned()
}

/// Whether QEMU emulates every instruction: it says so where a hypervisor names itself.
fn is_emulated() -> bool {
    use std::arch::x86_64::__cpuid;
    let hypervisor = __cpuid(1).ecx & 1 << 31 != 0;
    let leaf = __cpuid(0x4000_0000);
    hypervisor && [leaf.ebx, leaf.ecx, leaf.edx].map(u32::to_le_bytes).concat() == b"TCGTCGTCGTCG"
}

impl Document {
    /// From the measurements.
    pub fn new(
        environment: Environment,
        options: &Options,
        bench: &Bench,
        measured: &[Measured],
    ) -> Self {
        let rows = measured.iter().map(|measured| Rows {
            name: measured.situation,
            text: measured.situation.text(),
            cases: rows(&bench.cases, &bench.refused, &measured.samples),
        });
        let samples = measured.iter().flat_map(|measured| measured.samples.values().flatten());
        let tier = samples.flatten().find_map(|sample| sample.tier.clone());
        Self {
            schema: "copytrace/bench/1",
            environment,
            rounds: options.rounds,
            seconds: options.seconds,
            connections: options.connections,
            tier,
            situations: rows.collect(),
        }
    }
}

fn rows(
    cases: &[Case],
    refused: &BTreeMap<Case, String>,
    samples: &BTreeMap<Case, Vec<Option<Sample>>>,
) -> Vec<Row> {
    let row = |&case: &Case| {
        let own = series(samples, case, |_| ());
        let spread =
            |of: fn(&Sample) -> f64| Spread::of(series(samples, case, of).into_iter().flatten());
        let known = |of: fn(&Sample) -> Option<f64>| {
            Spread::of(series(samples, case, of).into_iter().flatten().flatten())
        };
        let ratio = |of: fn(&Sample) -> f64| {
            let untraced = series(samples, Case::Untraced, of);
            Spread::of(ratios(&series(samples, case, of), &untraced))
        };
        let cpu = |sample: &Sample| sample.server_cpu_us;
        let compared = !matches!(case, Case::Untraced | Case::Copytrace);
        let copytrace = series(samples, Case::Copytrace, cpu);
        let to_copytrace = ratios(&series(samples, case, cpu), &copytrace);
        let cheaper = to_copytrace.iter().filter(|&&ratio| ratio > 1.0).count();
        Row {
            name: case,
            skipped: refused.get(&case).cloned(),
            requests_per_second: spread(|sample| sample.requests_per_second),
            requests_ratio: ratio(|sample| sample.requests_per_second),
            server_cpu_us_per_request: spread(cpu),
            server_cpu_ratio: ratio(cpu),
            tracer_cpu_us_per_request: spread(|sample| sample.tracer_cpu_us),
            programs_us_per_request: known(|sample| sample.programs_us),
            seen: known(|sample| sample.seen),
            copytrace_cheaper_in: (compared && !to_copytrace.is_empty())
                .then(|| u32::try_from(cheaper).unwrap_or(u32::MAX)),
            samples: own
                .iter()
                .enumerate()
                .map(|(round, _)| {
                    samples.get(&case).and_then(|all| all.get(round).cloned().flatten())
                })
                .collect(),
        }
    };
    cases.iter().map(row).collect()
}

/// A number of every round.
fn series<T>(
    samples: &BTreeMap<Case, Vec<Option<Sample>>>,
    case: Case,
    of: impl Fn(&Sample) -> T,
) -> Vec<Option<T>> {
    let all = samples.get(&case).map_or(&[][..], Vec::as_slice);
    all.iter().map(|sample| sample.as_ref().map(&of)).collect()
}

/// The table for people.
pub fn table(document: &Document) -> String {
    let mut text = String::new();
    let environment = &document.environment;
    let versions: Vec<_> =
        environment.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let _ = writeln!(
        text,
        "Linux {}, {}, {} CPUs, load before {:.2}; {}",
        environment.kernel,
        environment.processor,
        environment.cpus,
        environment.load_before,
        versions.join(", ")
    );
    let _ = writeln!(
        text,
        "{} rounds of {} s, {} connections, {} worker(s); copytrace’s tier: {}",
        document.rounds,
        document.seconds,
        document.connections,
        environment.workers,
        document.tier.as_deref().unwrap_or("none")
    );
    if environment.emulated {
        let _ = writeln!(
            text,
            "EMULATED: QEMU carries out every instruction in software, so that the ratios say little."
        );
    }
    for rows in &document.situations {
        let _ = writeln!(text, "\n{}:\n\n{}", rows.text, lines(document, rows));
        for row in &rows.cases {
            if let Some(reason) = &row.skipped {
                let _ =
                    writeln!(text, "\n{}: not measured here: {}", row.name.text(), last(reason));
            }
        }
    }
    let _ = writeln!(
        text,
        "\nMedian (least to most). Ratios are to the untraced case of the same round. CPU time is of \
         nginx, and of the tracer’s own process, for a request; `BPF µs` is what the tracer’s programs \
         in the kernel took of it, and of others’ time, by the kernel’s count. `seen`: requests the tracer counted \
         for each answered one; those under way when the load ended are counted, too. `dearer`: in \
         how many rounds it cost nginx more CPU time a request than copytrace did."
    );
    text
}

fn lines(document: &Document, rows: &Rows) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header([
        "traced by",
        "requests/s",
        "of untraced",
        "nginx µs",
        "of untraced",
        "BPF µs",
        "tracer µs",
        "seen",
        "dearer",
    ]);
    for row in &rows.cases {
        table.add_row(cells(document, row));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn cells(document: &Document, row: &Row) -> Vec<String> {
    if row.skipped.is_some() {
        return vec![row.name.text().to_owned(), "not measured".to_owned()];
    }
    let is_traced = row.name != Case::Untraced;
    let traced = |text: String| if is_traced { text } else { String::new() };
    vec![
        row.name.text().to_owned(),
        spread(row.requests_per_second, 0),
        traced(spread(row.requests_ratio, 2)),
        spread(row.server_cpu_us_per_request, 1),
        traced(spread(row.server_cpu_ratio, 2)),
        spread(row.programs_us_per_request, 1),
        traced(
            row.tracer_cpu_us_per_request.map_or(String::new(), |it| format!("{:.1}", it.median)),
        ),
        row.seen.map_or(String::new(), |seen| format!("{:.3}", seen.median)),
        row.copytrace_cheaper_in
            .map_or(String::new(), |count| format!("{count} of {}", document.rounds)),
    ]
}

/// The last line, in which a program gives the reason for its end.
fn last(reason: &str) -> &str {
    reason.lines().last().unwrap_or_default().trim()
}

fn spread(spread: Option<Spread>, digits: usize) -> String {
    spread.map_or(String::new(), |Spread { median, min, max }| {
        format!("{median:.digits$} ({min:.digits$} to {max:.digits$})")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(requests_per_second: f64, server_cpu_us: f64, traced: bool) -> Option<Sample> {
        Some(Sample {
            requests_per_second,
            server_cpu_us,
            programs_us: traced.then_some(2.5),
            tracer_cpu_us: 1.5,
            seen: traced.then_some(1.001),
            tier: traced.then(|| "fentry".to_owned()),
        })
    }

    fn document() -> Document {
        let cases = [Case::Untraced, Case::Copytrace, Case::Strace, Case::Perf];
        let samples = BTreeMap::from([
            (Case::Untraced, vec![sample(100.0, 10.0, false), sample(200.0, 10.0, false)]),
            (Case::Copytrace, vec![sample(90.0, 12.0, true), sample(100.0, 14.0, true)]),
            (Case::Strace, vec![sample(10.0, 50.0, true), sample(20.0, 13.0, true)]),
            (Case::Perf, vec![None, None]),
        ]);
        let refused = BTreeMap::from([(Case::Perf, "perf:\n  too old".to_owned())]);
        let small = Situation::Small;
        Document {
            schema: "copytrace/bench/1",
            environment: Environment {
                kernel: "6.12".to_owned(),
                processor: "a processor".to_owned(),
                cpus: 2,
                workers: 1,
                emulated: true,
                load_before: 0.1,
                versions: BTreeMap::from([("nginx", "1.22.1".to_owned())]),
            },
            rounds: 2,
            seconds: 1,
            connections: 16,
            tier: Some("fentry".to_owned()),
            situations: vec![Rows {
                name: small,
                text: small.text(),
                cases: rows(&cases, &refused, &samples),
            }],
        }
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let document = document();
        let [untraced, copytrace, strace, perf] = document.situations[0].cases.as_slice() else {
            panic!("four rows");
        };
        let spread = |median, min, max| Some(Spread { median, min, max });
        assert_eq!(untraced.requests_ratio, spread(1.0, 1.0, 1.0));
        assert_eq!(copytrace.requests_ratio, spread(0.7, 0.5, 0.9));
        assert_eq!(strace.server_cpu_ratio, spread(3.15, 1.3, 5.0));
        assert_eq!(strace.copytrace_cheaper_in, Some(1));
        assert_eq!((copytrace.copytrace_cheaper_in, perf.copytrace_cheaper_in), (None, None));
        assert_eq!(perf.requests_per_second, None);
        assert_eq!(strace.samples.len(), 2);
    }

    #[test]
    fn the_table_has_a_row_for_each_case_and_says_what_was_not_measured() {
        let text = table(&document());
        for part in [
            "EMULATED",
            "nginx 1.22.1",
            "0.70 (0.50 to 0.90)",
            "1 of 2",
            "perf trace -s: not measured here: too old",
            "untraced",
        ] {
            assert!(text.contains(part), "no `{part}` in:\n{text}");
        }
    }
}
