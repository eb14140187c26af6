//! What every format shows of the same recording.

use super::{
    Environment, Recording, Report,
    diff::{Diff, write_json, write_table},
    write,
};
use crate::{
    flows::Endpoint,
    flows::{
        Calls, Ledger, Traffic,
        derive::Witnesses,
        group::Per,
        tests::{cpu_copy, file, flow, late, tcp},
    },
    ledger::{Movement, Mover, Place},
    report::{Format, Style, Where, write_schema},
    witness::Tier,
};

const BYTES: u64 = 64 << 20;

fn calls(name: &str, count: u64, bytes: u64) -> Traffic {
    let calls = [(name.to_owned(), Calls { count, bytes })].into();
    Traffic { payload_bytes: bytes, calls, ..Traffic::default() }
}

fn moved(from: Place, to: Place, by: Mover) -> Vec<Movement> {
    vec![Movement { by, ..cpu_copy(from, to, BYTES) }]
}

/// A server that reads and writes a file; what it sends goes through a network card.
fn recording(ledger: Ledger) -> Recording {
    let environment =
        Environment { kernel: "6.12.41".into(), where_: Where::Vm, tier: Tier::Fentry };
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
    let report = Report::new(&copied(), Per::Path);
    let mut out = Vec::new();
    write(format, &report, &Style { color: false, width: 100 }, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_table() {
    insta::assert_snapshot!(written(Format::Table));
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
fn the_json_is_as_its_schema_says_and_adds_up() {
    let document: serde_json::Value = serde_json::from_str(&written(Format::Json)).unwrap();
    let mut schema = Vec::new();
    write_schema::<Report>(&mut schema).unwrap();
    let schema = serde_json::from_slice(&schema).unwrap();
    jsonschema::validate(&schema, &document).unwrap();
    assert_eq!(document["schema"], "copytrace/flows/1");
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
    assert_eq!(document["total"]["payload_bytes"], BYTES + 300);
    assert_eq!(document["total"]["cpu_copied_bytes"], 2 * BYTES);
    assert_eq!(document["total"]["syscalls"], 1024 + 1024 + 3 + 5);
}

#[test]
fn a_recording_survives_the_file() {
    let text = serde_json::to_vec(&copied()).unwrap();
    assert_eq!(Recording::parse(&text), Ok(copied()));
    assert!(Recording::parse(b"root:x:0").unwrap_err().contains("no recording"));
    let other = String::from_utf8(text).unwrap().replace("ledger/1", "ledger/9");
    let error = Recording::parse(other.as_bytes()).unwrap_err();
    assert!(error.contains("copytrace/ledger/9"), "{error}");
}

#[test]
fn two_runs_side_by_side() {
    let [before, after] = [copied(), passed_on()].map(|run| Report::new(&run, Per::Kind));
    let diff = Diff::new(&before, &after);
    let mut table = Vec::new();
    write_table(&diff, &Style { color: false, width: 100 }, &mut table).unwrap();
    insta::assert_snapshot!(String::from_utf8(table).unwrap());
    let (mut document, mut schema) = (Vec::new(), Vec::new());
    write_json(&diff, &mut document).unwrap();
    write_schema::<Diff>(&mut schema).unwrap();
    let schema = serde_json::from_slice(&schema).unwrap();
    jsonschema::validate(&schema, &serde_json::from_slice(&document).unwrap()).unwrap();
}
