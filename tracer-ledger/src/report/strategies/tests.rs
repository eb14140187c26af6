//! Every format of the reports a real kernel gives.

use super::{answer::answer, *};
use crate::{
    Observation, Round, Tier, ZeroCopy,
    claims::samples,
    report::{
        Origin,
        html::tests::{body, fault},
        text::columns,
        write_schema,
    },
    workload::{Cache, CheckedBy},
};

const AT_100: Style = Style::plain(100);

fn environment() -> Environment {
    Environment {
        kernel: "6.12.41+deb13-amd64".into(),
        where_: Where::Vm,
        tier: Tier::Fentry,
        nic: "eth0 (e1000e)".into(),
        scatter_gather: true,
        cache: Cache::Cold,
        disk: "ext4 on vda".into(),
        emulated: true,
        load: None,
    }
}

const PAYLOAD: Payload =
    Payload { message_bytes: samples::MESSAGE_BYTES, messages: samples::MESSAGES };

fn strategies() -> [Observation; 3] {
    [samples::read_write(), samples::mmap_write(), samples::sendfile()]
}

fn report(environment: Environment, change: fn(Observation) -> Observation) -> Report {
    let outcomes: Vec<_> = strategies().map(|observed| change(observed).into()).into();
    Report::new(environment, PAYLOAD, &outcomes)
}

fn as_documented() -> Report {
    report(environment(), |observed| observed)
}

/// A loopback, a warm cache, no function probes, lost events, and a strategy that did not run.
fn as_bad_as_it_gets() -> Report {
    let environment = Environment {
        kernel: "6.1.0".into(),
        where_: Where::Host,
        tier: Tier::Tracepoint,
        nic: "lo".into(),
        scatter_gather: false,
        cache: Cache::Warm,
        ..environment()
    };
    let [read_write, mut mmap_write, mut sendfile] = strategies()
        .map(|observed| samples::derived(samples::to_loopback(samples::warm(observed))));
    mmap_write.lost_events = 12;
    mmap_write.page_faults_user = 16 * samples::MESSAGES;
    sendfile.movements.clear();
    sendfile.nic_retransmitted_bytes = 4380;
    let outcomes = [
        read_write.into(),
        mmap_write.into(),
        sendfile.into(),
        Outcome::skipped("splice", "the consumer closed the connection after 3 messages"),
    ];
    Report::new(environment, PAYLOAD, &outcomes)
}

fn verified() -> Report {
    report(environment(), |mut observed| {
        for movement in &mut observed.movements {
            if movement.by == crate::Mover::Cpu {
                movement.verified_bytes = Some(movement.bytes);
            }
        }
        if let Some(last) = observed.movements.last_mut() {
            last.verified_bytes = Some(last.bytes + 8192);
        }
        observed
    })
}

/// Rounds that took so many µs of CPU time per MiB.
fn rounds<const COUNT: usize>(cpu_us_per_mib: [f64; COUNT]) -> Vec<Round> {
    let mib = samples::PAYLOAD as f64 / (1 << 20) as f64;
    let round = |us: f64| Round { seconds: 0.004 + us * mib / 1e6, cpu_seconds: us * mib / 1e6 };
    cpu_us_per_mib.map(round).into()
}

/// On a real processor, with rounds without probes.
fn timed_on(environment: Environment, rounds: [Vec<Round>; 3]) -> Report {
    let outcomes = strategies().into_iter().zip(rounds);
    let outcomes: Vec<_> =
        outcomes.map(|(observed, rounds)| Outcome::from(observed).timed(rounds)).collect();
    Report::new(environment, PAYLOAD, &outcomes)
}

fn timed() -> Report {
    let environment =
        Environment { where_: Where::Host, emulated: false, load: Some(0.42), ..environment() };
    let rounds = [
        rounds([301.0, 318.0, 312.0, 330.0, 309.0]),
        rounds([401.0, 988.0, 460.0, 1520.0, 447.0]),
        rounds([80.1, 83.3, 84.0, 79.9, 97.0]),
    ];
    timed_on(environment, rounds)
}

/// A zero-copy send to this machine, of which the kernel says that it copied `copied` messages.
fn zero_copy(copied: u64) -> Report {
    let mut observed = samples::to_loopback(samples::read_write());
    observed.strategy = "msg-zerocopy".into();
    observed.zero_copy = Some(ZeroCopy { notifications: samples::MESSAGES, copied: Some(copied) });
    let environment = Environment { nic: "lo".into(), ..environment() };
    Report::new(environment, PAYLOAD, &[observed.into()])
}

fn written(format: Format, report: &Report, style: &Style) -> String {
    let mut out = Vec::new();
    write(format, report, style, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[track_caller]
fn table_at_100(report: &Report) -> String {
    let table = written(Format::Table, report, &AT_100);
    for line in table.lines() {
        assert!(columns(line) <= 100, "{} columns: {line}", columns(line));
    }
    table
}

#[test]
fn table_under_bad_conditions() {
    insta::assert_snapshot!(table_at_100(&as_bad_as_it_gets()));
}

#[test]
fn table_without_scatter_gather() {
    let environment = Environment { scatter_gather: false, ..environment() };
    insta::assert_snapshot!(table_at_100(&report(environment, samples::without_scatter_gather)));
}

#[test]
fn table_of_verified_copies() {
    insta::assert_snapshot!(table_at_100(&verified()));
}

#[test]
fn a_table_fits_the_terminal() {
    for width in [60, 80, 100, 140, 200] {
        for report in [as_documented(), as_bad_as_it_gets(), verified(), zero_copy(7)] {
            for details in [false, true] {
                let style = Style { details, ..Style::plain(width) };
                let table = written(Format::Table, &report, &style);
                let longest = table.lines().map(columns).max().unwrap();
                assert!(longest <= usize::from(width), "{longest} columns of {width}:\n{table}");
            }
        }
        let table = written(Format::Table, &as_documented(), &Style::plain(width));
        insta::assert_snapshot!(format!("table_at_{width}"), table);
    }
}

#[test]
fn times_stand_beside_the_copies() {
    for width in [60, 80, 100, 140, 200] {
        let table = written(Format::Table, &timed(), &Style::plain(width));
        let longest = table.lines().map(columns).max().unwrap();
        assert!(longest <= usize::from(width), "{longest} columns of {width}:\n{table}");
        insta::assert_snapshot!(format!("timed_at_{width}"), table);
    }
}

#[test]
fn times_leave_before_copies_and_mode_switches() {
    for width in 40..200 {
        let table = written(Format::Table, &timed(), &Style::plain(width));
        let row = table.lines().find(|line| line.starts_with(" sendfile  ")).unwrap();
        let cells: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(cells[1..4], ["1", "2", "0.00"], "{table}");
        if row.contains("µs") {
            assert_eq!(cells.iter().filter(|cell| **cell == "2.00").count(), 2, "{table}");
        }
    }
}

#[test]
fn a_legend_is_of_the_columns_there_are() {
    let narrow = written(Format::Table, &timed(), &Style::plain(60));
    assert!(!narrow.contains('┃') && !narrow.contains("MB/s"), "{narrow}");
    let markdown = written(Format::Markdown, &timed(), &AT_100);
    assert!(!markdown.contains('┃') && markdown.contains("MB/s until all has arrived"));
}

/// What is said of the CPU time of read-write, mmap-write and sendfile.
fn said_of_cost(rounds: [Vec<Round>; 3]) -> Option<String> {
    let report = timed_on(Environment { emulated: false, ..environment() }, rounds);
    let sentences = answer(&report);
    sentences.into_iter().find(|sentence| sentence.starts_with("CPU time"))
}

#[test]
fn nothing_is_claimed_where_spreads_overlap() {
    let close = [rounds([90.0, 110.0]), rounds([125.0, 131.0]), rounds([88.0, 92.0])];
    let sentence = "CPU time per MiB on this machine: sendfile 90.0 µs, read-write 100 µs (spreads \
                    overlap), mmap-write 128 µs (1.4 times as much).";
    assert_eq!(said_of_cost(close).unwrap(), sentence);
    let touching = [rounds([100.0]), rounds([104.0]), rounds([100.0])];
    let sentence = said_of_cost(touching).unwrap();
    assert!(sentence.ends_with("(spreads overlap), mmap-write 104 µs (1.04 times as much)."));
}

#[test]
fn a_busy_machine_is_said_to_be_busy() {
    let origin = Origin {
        version: "0.1.0".into(),
        commit: None,
        started: "2026-11-28T09:00:00Z".into(),
        host: "host".into(),
        processor: "processor".into(),
        cpus: 4,
        hypervisor: None,
        command_line: "copytrace demo".into(),
    };
    let said = |load| {
        let mut report = Report { origin: Some(origin.clone()), ..timed() };
        report.environment.load = Some(load);
        answer(&report).pop().unwrap()
    };
    assert!(said(2.0).starts_with("CPU time per MiB on this machine: sendfile"));
    assert!(said(2.1).starts_with("CPU time per MiB on this busy machine: sendfile"));
}

#[test]
fn what_was_not_timed_is_not_compared() {
    let only = |first| [rounds([100.0]), first, Vec::new()];
    assert_eq!(said_of_cost(only(Vec::new())), None);
    let two = said_of_cost(only(rounds([250.0]))).unwrap();
    assert!(two.ends_with("read-write 100 µs, mmap-write 250 µs (2.5 times as much)."), "{two}");
    // A process that took no time is compared with none.
    assert_eq!(said_of_cost([rounds([0.0]), rounds([1.0]), Vec::new()]), None);
}

#[test]
fn of_many_strategies_the_ends_are_compared() {
    let outcome = |us: f64| {
        let observed = Observation { strategy: format!("of-{us}"), ..samples::sendfile() };
        Outcome::from(observed).timed(rounds([us]))
    };
    let outcomes = [300.0, 100.0, 500.0, 200.0, 400.0].map(outcome);
    let environment = Environment { emulated: false, ..environment() };
    let sentences = answer(&Report::new(environment, PAYLOAD, &outcomes));
    let expected = "CPU time per MiB on this machine, least and most: of-100 100 µs, of-500 500 µs \
                    (5.0 times as much).";
    assert_eq!(sentences, [expected]);
}

#[test]
fn an_emulated_processor_has_no_times() {
    let emulated = timed_on(environment(), [0; 3].map(|_| rounds([1.0])));
    assert_eq!(emulated, as_documented());
}

#[test]
fn details_are_shown_when_asked_for() {
    let style = Style { details: true, ..Style::plain(80) };
    insta::assert_snapshot!(written(Format::Table, &as_documented(), &style));
}

#[test]
fn a_terminal_may_have_ascii_alone() {
    let style = Style { ascii: true, ..Style::plain(80) };
    let timed = written(Format::Table, &timed(), &Style { width: 200, ..style });
    assert!(timed.is_ascii(), "{timed}");
    let table = written(Format::Table, &as_documented(), &style);
    assert!(table.is_ascii(), "{table}");
    insta::assert_snapshot!(table);
}

#[test]
fn table_in_colour_says_the_same() {
    let plain = written(Format::Table, &as_bad_as_it_gets(), &AT_100);
    let style = Style { color: true, ..AT_100 };
    let coloured = written(Format::Table, &as_bad_as_it_gets(), &style);
    assert!(coloured.contains("\u{1b}[") && !plain.contains('\u{1b}'));
    assert_eq!(without_colour(&coloured), plain);
}

fn without_colour(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap().to_owned();
    let text = parts.fold(first, |text, part| text + part.split_once('m').unwrap().1);
    text.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

#[test]
fn markdown() {
    insta::assert_snapshot!(written(Format::Markdown, &verified(), &AT_100));
}

#[test]
fn a_page() {
    let page = written(Format::Html, &as_documented(), &AT_100);
    assert_eq!(fault(&page), None);
    insta::assert_snapshot!(body(&page));
}

#[test]
fn a_page_of_any_report_stands_alone() {
    for report in [as_bad_as_it_gets(), verified(), zero_copy(7)] {
        let page = written(Format::Html, &report, &AT_100);
        assert_eq!(fault(&page), None, "{page}");
    }
}

#[test]
fn csv() {
    insta::assert_snapshot!(written(Format::Csv, &as_bad_as_it_gets(), &AT_100));
}

#[test]
fn json() {
    insta::assert_snapshot!(written(Format::Json, &as_documented(), &AT_100));
}

#[test]
fn json_is_what_the_schema_says() {
    let mut schema = Vec::new();
    write_schema::<Report>(SCHEMA, &mut schema).unwrap();
    let schema = serde_json::from_slice(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for report in [as_documented(), as_bad_as_it_gets(), verified(), zero_copy(7), timed()] {
        let document = written(Format::Json, &report, &AT_100);
        let document = serde_json::from_str(&document).unwrap();
        let errors: Vec<_> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }
    for tier in [Tier::Fentry, Tier::Kprobe, Tier::Tracepoint] {
        let report = report(Environment { tier, ..environment() }, |observed| observed);
        assert!(validator.is_valid(&serde_json::to_value(report).unwrap()), "{tier}");
    }
    let mut other = serde_json::to_value(as_documented()).unwrap();
    other["schema"] = "copytrace/strategies/0".into();
    assert!(!validator.is_valid(&other));
}

#[test]
fn json_has_the_promised_numbers() {
    let document = serde_json::to_value(as_documented()).unwrap();
    let numbers = |strategy: usize| {
        let copies = &document["strategies"][strategy]["copies"];
        ["cpu", "dma", "total"].map(|kind| copies[kind].as_f64().unwrap())
    };
    assert_eq!(numbers(0), [2.0, 2.0, 4.0]);
    assert_eq!(numbers(1), [1.0, 2.0, 3.0]);
    assert_eq!(numbers(2), [0.0, 2.0, 2.0]);
    assert_eq!(document["strategies"][1]["per_message"]["syscalls"], 1.0 + 1.0 / 256.0);
    assert_eq!(document["environment"]["where"], "vm");
    assert_eq!(document["strategies"][0].get("speed"), None);
    let speed = &serde_json::to_value(timed()).unwrap()["strategies"][2]["speed"];
    assert_eq!(speed["rounds"], 5);
    let of_cpu = &speed["cpu_seconds_per_gb"];
    let [min, median, max] = ["min", "median", "max"].map(|of| of_cpu[of].as_f64().unwrap());
    assert!((median * 1.048_576 - 0.0833).abs() < 1e-9 && min < median && median < max);
    assert!(speed["bytes_per_second"]["median"].as_f64().unwrap() > 1e9);
}

#[test]
fn csv_has_times() {
    let csv = written(Format::Csv, &timed(), &AT_100);
    let lines: Vec<_> = csv.lines().filter(|line| line.starts_with("sendfile,")).collect();
    let [.., cpu, rate] = lines.as_slice() else { panic!("{csv}") };
    assert!(cpu.starts_with("sendfile,cpu-seconds,gb,,0.0794"), "{cpu}");
    assert!(cpu.contains(",measured,,median of 5 rounds without probes: 0.0761"), "{cpu}");
    assert!(rate.starts_with("sendfile,bytes,second,,"), "{rate}");
}

#[test]
fn what_the_kernel_says_of_zero_copy_sends_is_passed_on() {
    let document = serde_json::to_value(zero_copy(samples::MESSAGES)).unwrap();
    let said = serde_json::json!({ "notifications": 256, "copied": 256 });
    assert_eq!(document["strategies"][0]["zero_copy"], said);
    insta::assert_snapshot!(table_at_100(&zero_copy(7)));
}

#[test]
fn a_kernel_that_says_otherwise_than_the_witnesses_is_a_warning() {
    assert_eq!(zero_copy(samples::MESSAGES).warnings, []);
    let warnings = zero_copy(0).warnings;
    assert!(warnings[0].text.contains("copied 0 of 256 zero-copy sends"), "{warnings:?}");
}

#[test]
fn what_nobody_hashed_is_a_warning() {
    let mut observed = samples::read_write();
    observed.checked_by = CheckedBy::DeviceCounters;
    let report = Report::new(environment(), PAYLOAD, &[observed.into()]);
    assert_eq!(report.warnings.len(), 1, "{:#?}", report.warnings);
    assert!(report.warnings[0].text.contains("the device counted 16777216 payload bytes"));
    assert!(report.warnings[0].text.ends_with("not checked by hash"));
    let document = serde_json::to_value(report).unwrap();
    assert_eq!(document["strategies"][0]["checked_by"], "device-counters");
}

#[test]
fn what_does_not_balance_is_a_warning() {
    let mut observed = samples::read_write();
    observed.payload_bytes += 100;
    let report = Report::new(environment(), PAYLOAD, &[observed.into()]);
    assert_eq!(report.warnings.len(), 2, "{:#?}", report.warnings);
    assert!(report.warnings[0].text.contains("100 of 16777316 payload bytes were not seen"));
}
