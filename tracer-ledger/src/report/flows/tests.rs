//! Every format of the same recording.

use proptest::prelude::*;

use super::{
    Environment, Recording, Report, append,
    diff::{self, Diff},
    jsonl::{self, Line},
    pprof, write,
};
use crate::{
    Movement, Mover, Place, Tier, Warning,
    expect::of_flows,
    flows::{
        Calls, Endpoint, Kind, Ledger, Traffic,
        derive::Witnesses,
        group::Per,
        jvm,
        stacks::{Frame, Seen, Stack, Stacks, Weight, add},
        tests::{cpu_copy, file, flow, late, tcp},
    },
    report::{
        self, Style, Where, escape,
        flows::Format,
        html::tests::{body, fault},
        text::columns,
        write_schema,
    },
};

const BYTES: u64 = 64 << 20;

fn calls(name: &str, count: u64, bytes: u64) -> Traffic {
    let calls = [(name.to_owned(), Calls { count, bytes })].into();
    Traffic { payload_bytes: bytes, calls, cpu_time_ns: count * 12_345, ..Traffic::default() }
}

fn moved(from: Place, to: Place, by: Mover) -> Vec<Movement> {
    vec![Movement { by, ..cpu_copy(from, to, BYTES) }]
}

/// A server that reads and writes a file; what it sends goes through a network card.
fn recording(ledger: Ledger) -> Recording {
    let environment = Environment {
        kernel: "6.12.41".into(),
        where_: Where::Vm,
        tier: Tier::Fentry,
        cycles: false,
        emulated: false,
    };
    let witnesses = Witnesses { copies: true, references: true };
    Recording::new(environment, "server --port 80".into(), 2_500_000_000, ledger, witnesses)
}

fn copied() -> Recording {
    let read = Traffic {
        movements: moved(Place::PageCache, Place::User, Mover::Cpu),
        ..calls("read", 1024, BYTES)
    };
    let written = Traffic {
        linked_bytes: BYTES,
        movements: moved(Place::User, Place::Socket, Mover::Cpu),
        ..calls("write", 1024, BYTES)
    };
    let sent =
        Traffic { movements: moved(Place::Socket, Place::Nic, Mover::Dma), ..Traffic::default() };
    recording(Ledger::from([
        (flow(file("/srv/big"), Endpoint::memory()), read),
        (flow(file("/srv/big"), tcp(4711)), written),
        (late(tcp(4711)), sent),
        (flow(Endpoint::memory(), file("/var/log/access")), calls("write", 3, 300)),
        (flow(Endpoint::memory(), Endpoint::memory()), calls("epoll_wait", 5, 0)),
    ]))
}

fn passed_on() -> Recording {
    let sent = Traffic {
        movements: moved(Place::PageCache, Place::Socket, Mover::Reference),
        ..calls("sendfile", 32, BYTES)
    };
    recording(Ledger::from([(flow(file("/srv/big"), tcp(4712)), sent)]))
}

fn written(format: Format) -> String {
    written_at(100, &copied(), format)
}

fn written_at(width: u16, recording: &Recording, format: Format) -> String {
    String::from_utf8(bytes_at(width, recording, format)).unwrap()
}

fn bytes(recording: &Recording, format: Format) -> Vec<u8> {
    bytes_at(100, recording, format)
}

fn bytes_at(width: u16, recording: &Recording, format: Format) -> Vec<u8> {
    let report = Report::new(recording, Per::Path);
    let mut out = Vec::new();
    write(format, &report, &Style::plain(width), &mut out).unwrap();
    out
}

/// The same, with the stacks of half of what it read, and of all that it wrote.
fn at_stacks() -> Recording {
    let frames = |names: &[&str], module: &str| -> Vec<Frame> {
        let frame = |name: &&str| Frame { function: (*name).into(), module: module.into() };
        names.iter().map(frame).collect()
    };
    let entry = ["vfs_read", "do_syscall_64", "entry_SYSCALL_64_after_hwframe"];
    let read = Stack {
        kernel: [frames(&["filemap_read"], "kernel"), frames(&entry, "kernel")].concat(),
        user: frames(&["read", "serve; all"], "/usr/bin/server"),
    };
    let write = Stack { kernel: frames(&["tcp_sendmsg_locked"], "kernel"), user: Vec::new() };
    let mut stacks = Stacks::new();
    let mut seen = |flow, from, to, routine: &str, stack, bytes| {
        let seen = Seen::Copy { from, to, routine: routine.into() };
        add(&mut stacks, &flow, seen, stack, Weight { bytes, calls: 512 });
    };
    let reading = flow(file("/srv/big"), Endpoint::memory());
    let writing = flow(file("/srv/big"), tcp(4711));
    seen(reading, Place::PageCache, Place::User, "copy_folio_to_iter", read, BYTES / 2);
    seen(writing, Place::User, Place::Socket, "_copy_from_iter", write, BYTES);
    let mut recording = copied();
    recording.stacks = Some(stacks);
    recording
}

#[test]
fn stacks_in_a_table() {
    let table = String::from_utf8(bytes(&at_stacks(), Format::Table)).unwrap();
    insta::assert_snapshot!(table.split_once("Who copies").unwrap().1);
}

#[test]
fn stacks_folded() {
    insta::assert_snapshot!(String::from_utf8(bytes(&at_stacks(), Format::Folded)).unwrap());
}

#[test]
fn stacks_for_pprof() {
    let samples = pprof::read(&bytes(&at_stacks(), Format::Pprof));
    let expected = [
        (vec!["_copy_from_iter", "tcp_sendmsg_locked"], vec![BYTES as i64, 512]),
        (
            vec![
                "copy_folio_to_iter",
                "filemap_read",
                "vfs_read",
                "do_syscall_64",
                "entry_SYSCALL_64_after_hwframe",
                "read",
                "serve; all",
            ],
            vec![BYTES as i64 / 2, 512],
        ),
        (vec!["[no stack]"], vec![BYTES as i64 / 2, 0]),
    ];
    let expected =
        expected.map(|(names, values)| (names.into_iter().map(String::from).collect(), values));
    assert_eq!(samples, expected);
}

#[test]
fn stacks_add_up_to_the_copies_and_survive_the_file() {
    let text = serde_json::to_vec(&at_stacks()).unwrap();
    assert_eq!(Recording::parse(&text), Ok(at_stacks()));
    let document = bytes(&at_stacks(), Format::Json);
    let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
    is_as_its_schema_says(&document);
    let stacks = document["stacks"].as_array().unwrap();
    let copied: u64 = stacks.iter().map(|stack| stack["bytes"].as_u64().unwrap()).sum();
    assert_eq!(document["total"]["cpu_copied_bytes"], copied);
}

#[test]
fn rules_are_in_the_document() {
    let rules = ["file -> tcp: cpu == 2", "nginx: cpu == 0"].map(|rule| rule.parse().unwrap());
    let expectations = of_flows(&rules, &copied());
    let report = Report { expectations, ..Report::new(&copied(), Per::Path) };
    let mut out = Vec::new();
    write(Format::Json, &report, &Style::plain(100), &mut out).unwrap();
    let document: serde_json::Value = serde_json::from_slice(&out).unwrap();
    is_as_its_schema_says(&document);
    insta::assert_snapshot!(serde_json::to_string_pretty(&document["expectations"]).unwrap());
}

#[test]
fn a_line_says_what_is_new_since_the_one_before() {
    let before = Report::new(&at_stacks(), Per::Path).total;
    let mut report = Report::new(&at_stacks(), Per::Path);
    report.total.payload_bytes += 7;
    let since_last = report.total.since(&before);
    let line = Line { time: Some("2026-02-03T04:05:06Z".into()), since_last, report };
    let mut out = Vec::new();
    jsonl::write(&line, &mut out).unwrap();
    assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
    let document = serde_json::from_slice(&out).unwrap();
    let mut schema = Vec::new();
    write_schema::<Line>("copytrace/lines/2", &mut schema).unwrap();
    let schema: serde_json::Value = serde_json::from_slice(&schema).unwrap();
    assert_eq!(schema["$id"], "urn:copytrace:lines:2");
    jsonschema::validate(&schema, &document).unwrap();
    assert_eq!(document["since_last"]["payload_bytes"], 7);
    assert_eq!(document["since_last"]["syscalls"], 0);
}

fn is_as_its_schema_says(document: &serde_json::Value) {
    let mut schema = Vec::new();
    write_schema::<Report>(super::SCHEMA, &mut schema).unwrap();
    jsonschema::validate(&serde_json::from_slice(&schema).unwrap(), document).unwrap();
}

/// A program with names too long for any terminal, and what every program reads when it starts.
fn long_names() -> Recording {
    let copies = |bytes| vec![cpu_copy(Place::PageCache, Place::User, bytes)];
    let read = |bytes| Traffic { movements: copies(bytes), ..calls("read", 9, bytes) };
    let table = "/var/lib/postgresql/15/main/base/16384/16385";
    let index = format!("/var/lib/postgresql/15/main/base/{}", "7".repeat(60));
    recording(Ledger::from([
        (flow(file(table), Endpoint::memory()), read(BYTES)),
        (flow(file(&index), Endpoint::memory()), read(BYTES / 2)),
        (flow(Endpoint::memory(), tcp(40000)), calls("write", 9, BYTES / 3)),
        (flow(Endpoint::new(Kind::Unix, "unix:[4711]"), Endpoint::memory()), read(BYTES / 4)),
        (flow(file("/etc/locale.alias"), Endpoint::memory()), read(2996)),
        (flow(file("/lib/libc.so.6"), Endpoint::memory()), read(832)),
        (flow(Endpoint::memory(), file("/run/pid")), calls("write", 1, 5)),
    ]))
}

#[track_caller]
fn is_no_wider(text: &str, width: usize) {
    for line in text.lines() {
        assert!(columns(line) <= width, "{} columns of {width}: {line}", columns(line));
    }
}

#[test]
fn a_table_fits_the_terminal() {
    for width in [60, 80, 100, 140, 200] {
        for recording in [copied(), passed_on(), many_files(), long_names(), at_stacks()] {
            is_no_wider(&written_at(width, &recording, Format::Table), usize::from(width));
        }
        insta::assert_snapshot!(
            format!("long_names_at_{width}"),
            written_at(width, &long_names(), Format::Table)
        );
    }
}

#[test]
fn details_are_shown_when_asked_for() {
    let report = Report::new(&copied(), Per::Path);
    let mut out = Vec::new();
    let style = Style { details: true, ..Style::plain(80) };
    write(Format::Table, &report, &style, &mut out).unwrap();
    insta::assert_snapshot!(String::from_utf8(out).unwrap());
}

#[test]
fn a_terminal_may_have_ascii_alone() {
    let report = Report::new(&many_files(), Per::Path);
    let mut out = Vec::new();
    write(Format::Table, &report, &Style { ascii: true, ..Style::plain(80) }, &mut out).unwrap();
    assert!(out.is_ascii(), "{}", String::from_utf8_lossy(&out));
}

#[test]
fn times_that_mean_nothing_are_not_shown() {
    let mut recording = copied();
    recording.environment.emulated = true;
    let table = written_at(140, &recording, Format::Table);
    assert!(!table.contains("time"), "{table}");
}

/// A server that sends a head and a file 1500 times.
fn many_files() -> Recording {
    let one = |number: u16| {
        let passed =
            Movement { by: Mover::Reference, ..cpu_copy(Place::PageCache, Place::Socket, 8192) };
        let sent = Traffic { movements: vec![passed], ..calls("sendfile", 1, 8192) };
        (flow(file(&format!("/srv/www/{number}")), tcp(number)), sent)
    };
    let mut ledger: Ledger = (0..1500).map(one).collect();
    let copies = vec![cpu_copy(Place::User, Place::Socket, 300_000)];
    let heads = Traffic { movements: copies, ..calls("sendto", 1500, 300_000) };
    ledger.insert(flow(Endpoint::memory(), tcp(0)), heads);
    recording(ledger)
}

#[test]
fn many_files_in_a_table() {
    insta::assert_snapshot!(written_at(80, &many_files(), Format::Table));
}

#[test]
fn documents_have_each_of_many_files() {
    let document: serde_json::Value =
        serde_json::from_slice(&bytes(&many_files(), Format::Json)).unwrap();
    is_as_its_schema_says(&document);
    assert_eq!(document["flows"].as_array().unwrap().len(), 1501);
    assert!(document.get("shown").is_none(), "a view is no part of the document");
    let heads = &document["flows"][0];
    assert_eq!(heads["verdict"]["code"], "copied-from-memory");
    assert_eq!(heads["notes"][0]["code"], "many-small-calls");
    assert_eq!(written_at(80, &many_files(), Format::Csv).lines().count(), 1502);
}

#[test]
fn the_table() {
    insta::assert_snapshot!(written(Format::Table));
}

#[test]
fn cycles_have_a_column_where_they_are_counted() {
    let mut recording = copied();
    recording.environment.cycles = true;
    for traffic in recording.ledger.values_mut() {
        traffic.cpu_cycles = traffic.payload_bytes;
    }
    let table = written_at(120, &recording, Format::Table);
    assert!(table.contains("cycles"), "{table}");
    assert!(!table.contains("not counted"), "{table}");
    let document: serde_json::Value =
        serde_json::from_slice(&bytes(&recording, Format::Json)).unwrap();
    is_as_its_schema_says(&document);
    // Two copies, and two calls that took one cycle a byte each.
    assert_eq!(document["flows"][0]["cost"]["cycles_per_copied_byte"], 1.0);
    assert_eq!(document["flows"][1]["cost"].get("cycles_per_copied_byte"), None, "no copy");
}

#[test]
fn what_breakpoints_saw_is_told() {
    let verified = |bytes| {
        let copy = cpu_copy(Place::PageCache, Place::User, BYTES);
        let movements = vec![Movement { verified_bytes: Some(bytes), ..copy }];
        let read = Traffic { movements, ..calls("read", 9, BYTES) };
        let ledger = Ledger::from([(flow(file("a"), Endpoint::memory()), read)]);
        written_at(100, &recording(ledger), Format::Table)
    };
    let same = verified(BYTES);
    assert!(same.contains("64 MiB of copies were seen by hardware breakpoints, too"), "{same}");
    let other = verified(BYTES / 2);
    assert!(other.contains("saw 32 MiB of copies, call sites 64 MiB: +100.000 %"), "{other}");
    let none = verified(0);
    assert!(none.contains("saw 0 B of copies, call sites 64 MiB\n"), "{none}");
    assert!(!written(Format::Table).contains("breakpoints"));
}

#[test]
fn what_a_virtual_machine_copies_is_beside_the_flows() {
    let inside =
        Movement { witness: jvm::WITNESS.into(), ..cpu_copy(Place::User, Place::User, 2 * BYTES) };
    let between = cpu_copy(Place::User, Place::User, 300);
    let memory = Traffic { movements: vec![inside, between], ..Traffic::default() };
    let mut recorded = passed_on();
    recorded.ledger.insert(flow(Endpoint::memory(), Endpoint::memory()), memory);
    let report = Report::new(&recorded, Per::Path);
    let [row] = &report.jvm_copies[..] else { panic!("{:?}", report.jvm_copies) };
    assert_eq!((row.bytes, row.copies_per_byte), (2 * BYTES, Some(2.0)));
    assert_eq!(report.unattributed.bytes, 300, "the rest is no copy of the virtual machine's");
    assert_eq!(report.total.cpu_copied_bytes, 2 * BYTES + 300);
    let table = written_at(100, &recorded, Format::Table);
    let words: Vec<&str> = table.split_whitespace().collect();
    let answer = "zero-copy, 300 B copied by the CPU, 128 MiB more inside the JVM";
    assert!(words.join(" ").contains(answer), "{table}");
    assert!(table.contains("Copied by Java virtual machines in their own memory"), "{table}");
    assert!(!written(Format::Table).contains("virtual machines"));
}

#[test]
fn the_page() {
    let page = written(Format::Html);
    assert_eq!(fault(&page), None);
    insta::assert_snapshot!(body(&page));
}

#[test]
fn stacks_on_a_page() {
    let page = String::from_utf8(bytes(&at_stacks(), Format::Html)).unwrap();
    assert_eq!(fault(&page), None);
    insta::assert_snapshot!(body(&page).split_once("Who copies").unwrap().1);
}

#[test]
fn the_markdown() {
    insta::assert_snapshot!(written(Format::Markdown));
}

#[test]
fn the_csv() {
    insta::assert_snapshot!(written(Format::Csv));
}

#[test]
fn a_csv_has_one_header() {
    let style = Style::plain(100);
    let mut report = Report::new(&copied(), Per::Path);
    let mut text = Vec::new();
    write(Format::Csv, &report, &style, &mut text).unwrap();
    append(Format::Csv, &report, &style, &mut text).unwrap();
    let lines = csv::Reader::from_reader(&*text).into_records();
    let lines: Vec<csv::StringRecord> = lines.collect::<Result<_, _>>().unwrap();
    assert_eq!(lines.len(), 2 * report.flows.len());
    assert!(lines.iter().all(|line| &line[0] != "comm"), "{lines:?}");
    report.flows.clear();
    let mut header = Vec::new();
    write(Format::Csv, &report, &style, &mut header).unwrap();
    assert!(header.ends_with(b"\n") && text.starts_with(&header), "{header:?}");
}

#[test]
fn the_json_is_as_its_schema_says_and_adds_up() {
    let document: serde_json::Value = serde_json::from_str(&written(Format::Json)).unwrap();
    is_as_its_schema_says(&document);
    assert_eq!(document["schema"], "copytrace/flows/2");
    let flow = &document["flows"][0];
    assert_eq!(flow["source"]["kind"], "file");
    assert_eq!(flow["destination"]["kind"], "tcp");
    assert_eq!(flow["process"]["comm"], "server");
    assert_eq!(flow["side"], "sender");
    assert_eq!(flow["payload_bytes"], BYTES);
    assert_eq!(flow["copies_per_byte"]["cpu"], 2.0);
    assert_eq!(flow["copies_per_byte"]["dma"], 1.0);
    assert_eq!(flow["syscalls"]["read"], 1024);
    assert_eq!(flow["mode_switches_per_mib"], 64.0);
    assert_eq!(flow["verdict"]["code"], "copied-through-memory");
    assert_eq!(flow["unseen"], serde_json::json!([]));
    let log = &document["flows"][1];
    assert_eq!(log["copies_per_byte"]["cpu"], serde_json::Value::Null);
    assert_eq!(log["by_reference_per_byte"], serde_json::Value::Null);
    assert_eq!(log["unseen"][0]["bytes"], 300);
    assert_eq!(log["unseen"][0]["at"], "destination");
    assert_eq!(log["unseen"][0]["reason"]["code"], "unknown");
    assert_eq!(log["verdict"]["code"], "unseen");
    assert_eq!(document["total"]["unseen_bytes"], 300);
    assert_eq!(document["total"]["payload_bytes"], BYTES + 300);
    assert_eq!(document["total"]["cpu_copied_bytes"], 2 * BYTES);
    assert_eq!(document["total"]["syscalls"], 1024 + 1024 + 3 + 5);
}

#[test]
fn a_recording_survives_the_file() {
    let text = serde_json::to_vec(&copied()).unwrap();
    assert_eq!(Recording::parse(&text), Ok(copied()));
    assert!(Recording::parse(b"root:x:0").unwrap_err().contains("no recording"));
    let other = String::from_utf8(text).unwrap().replace("ledger/2", "ledger/9");
    let error = Recording::parse(other.as_bytes()).unwrap_err();
    assert!(error.contains("copytrace/ledger/9"), "{error}");
}

#[test]
fn what_cannot_be_added_up_is_refused() {
    let text = |bytes| {
        let mut recording = at_stacks();
        recording.ledger.values_mut().for_each(|traffic| traffic.cpu_cycles = bytes);
        serde_json::to_vec(&recording).unwrap()
    };
    assert!(Recording::parse(&text(1 << 58)).is_ok());
    for bytes in [1 << 61, u64::MAX] {
        let error = Recording::parse(&text(bytes)).unwrap_err();
        assert!(error.contains("too large to be counts"), "{error}");
    }
}

#[test]
fn more_warnings_than_there_are_are_refused() {
    let mut recording = copied();
    recording.warnings = vec![Warning::FlowsAdded; 1001];
    let error = Recording::parse(&serde_json::to_vec(&recording).unwrap()).unwrap_err();
    assert!(error.contains("more than 1000 warnings"), "{error}");
}

#[test]
fn an_error_quotes_a_recording_in_a_short_line() {
    let text = String::from_utf8(serde_json::to_vec(&copied()).unwrap()).unwrap();
    let long = "\\n\\u001b[2J".repeat(9999);
    for word in ["copytrace/ledger/2", "fentry"] {
        let error = Recording::parse(text.replace(word, &long).as_bytes()).unwrap_err();
        assert_eq!(escape::plain(&error), error.as_str());
        assert!(error.chars().count() < 300, "{error}");
    }
}

#[test]
fn two_runs_side_by_side() {
    let [before, after] = [copied(), passed_on()].map(|run| Report::new(&run, Per::Kind));
    let diff = Diff::new(&before, &after);
    let written = |format, width| {
        let mut out = Vec::new();
        diff::write(format, &diff, &Style::plain(width), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    insta::assert_snapshot!(written(report::Format::Table, 100));
    is_no_wider(&written(report::Format::Table, 60), 60);
    insta::assert_snapshot!("two_runs_in_a_document", written(report::Format::Markdown, 100));
    let page = written(report::Format::Html, 100);
    assert_eq!(fault(&page), None);
    insta::assert_snapshot!("two_runs_on_a_page", body(&page));
    assert_eq!(written(report::Format::Csv, 100).lines().count(), 1 + diff.flows.len());
    let document = written(report::Format::Json, 100);
    let mut schema = Vec::new();
    write_schema::<Diff>(diff::SCHEMA, &mut schema).unwrap();
    let schema = serde_json::from_slice(&schema).unwrap();
    jsonschema::validate(&schema, &serde_json::from_str(&document).unwrap()).unwrap();
}

/// Possible names of programs, files and functions.
pub(super) fn any_name() -> impl Strategy<Value = String> {
    let hostile = prop_oneof![
        Just("\x1b[2J\x1b]0;title\x07".to_owned()),
        Just("=cmd|'/c calc'!A1".to_owned()),
        Just("<img src=x onerror=alert(1)>".to_owned()),
        Just("a|b\nc;d\r\te".to_owned()),
        Just("\u{202e}gnp.exe\u{9b}31m".to_owned()),
    ];
    prop_oneof![
        hostile,
        proptest::collection::vec(any::<char>(), 1..30).prop_map(String::from_iter)
    ]
}

fn named(name: &str) -> Recording {
    let mut read = Traffic {
        movements: moved(Place::PageCache, Place::User, Mover::Cpu),
        ..calls("read", 1024, BYTES)
    };
    read.movements[0].witness = name.to_owned();
    let mut reading = flow(file(name), Endpoint::memory());
    reading.process.name = name.to_owned();
    let frame = Frame { function: name.to_owned(), module: name.to_owned() };
    let stack = Stack { kernel: Vec::new(), user: vec![frame] };
    let mut stacks = Stacks::new();
    let seen = Seen::Copy { from: Place::PageCache, to: Place::User, routine: name.to_owned() };
    add(&mut stacks, &reading, seen, stack, Weight { bytes: BYTES, calls: 1 });
    let mut recording = recording(Ledger::from([(reading, read)]));
    recording.target = name.to_owned();
    recording.environment.kernel = name.to_owned();
    recording.warnings = vec![Warning::CountingEnded { error: name.to_owned() }];
    recording.stacks = Some(stacks);
    recording
}

proptest! {
    #[test]
    fn no_name_controls_what_shows_it(name in any_name()) {
        let recording = named(&name);
        let formats = [
            Format::Table,
            Format::Json,
            Format::Markdown,
            Format::Html,
            Format::Csv,
            Format::Folded,
        ];
        for format in formats {
            let text = written_at(100, &recording, format);
            prop_assert_eq!(control(&text), None, "{:?}: {:?}", format, text);
        }
    }

    #[test]
    fn every_format_is_read_back(name in any_name()) {
        let recording = named(&name);
        let json: serde_json::Value = serde_json::from_str(&written_at(100, &recording, Format::Json))?;
        prop_assert_eq!(&json["flows"][0]["source"]["name"], &name);
        prop_assert_eq!(&json["flows"][0]["process"]["comm"], &name);
        let text = written_at(100, &recording, Format::Csv);
        let lines: Vec<csv::StringRecord> = csv::Reader::from_reader(text.as_bytes()).into_records().collect::<Result<_, _>>()?;
        prop_assert_eq!(lines.len(), 1);
        prop_assert_eq!(&lines[0][3], &*escape::cell(&name));
        prop_assert!(!lines[0][0].starts_with(['=', '+', '-', '@']), "{:?}", &lines[0]);
        let text = written_at(100, &recording, Format::Markdown);
        prop_assert_eq!(broken_row(&text), None, "{}", text);
        prop_assert!(!text.replace("\\<", "").contains('<'), "{}", text);
        let text = written_at(100, &recording, Format::Html);
        prop_assert_eq!(fault(&text), None, "{}", text);
        let page = roxmltree::Document::parse(&text.replace("<!DOCTYPE html>", "")).map(|page| {
            page.descendants().filter_map(|it| it.text()).collect::<String>()
        })?;
        let shown = escape::plain(&name).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}");
        prop_assert!(page.contains(&shown), "{}", text);
        let text = written_at(100, &recording, Format::Folded);
        prop_assert_eq!(text.lines().count(), 1);
        prop_assert!(text.trim_end().ends_with(&format!(" {BYTES}")), "{}", text);
    }
}

/// A line that would say something to a terminal.
pub(super) fn control(text: &str) -> Option<&str> {
    text.split('\n').find(|line| escape::plain(line) != *line)
}

/// A row of a Markdown table that has another number of cells than the row before.
pub(super) fn broken_row(text: &str) -> Option<&str> {
    let is_row = |line: &str| line.starts_with('|');
    let lines: Vec<&str> = text.lines().collect();
    let pairs = lines.windows(2).filter(|pair| is_row(pair[0]) && is_row(pair[1]));
    pairs
        .map(|pair| (pair[0], pair[1]))
        .find(|(one, other)| cells_of(one) != cells_of(other))
        .map(|(_, row)| row)
}

/// The number of cells in a row of a Markdown table.
fn cells_of(row: &str) -> usize {
    let escaped = row.replace("\\\\", "").replace("\\|", "");
    escaped.matches('|').count()
}
