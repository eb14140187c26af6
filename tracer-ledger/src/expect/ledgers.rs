//! Rules on ledgers with known movements.

use super::{Expectation, of_flows};
use crate::{
    Movement, Mover, Place, Provenance, Tier,
    flows::UNKNOWN,
    flows::{
        Calls, Endpoint, Flow, Kind, Ledger, Process, Traffic,
        derive::Witnesses,
        medium::Medium,
        tests::{cpu_copy, file, flow, tcp},
    },
    report::{
        Where,
        flows::{Environment, Recording},
    },
};

const BYTES: u64 = 1 << 20;

fn passed(bytes: u64) -> Traffic {
    let reference =
        Movement { by: Mover::Reference, ..cpu_copy(Place::PageCache, Place::Socket, bytes) };
    sent(bytes, vec![reference])
}

fn copied(bytes: u64) -> Traffic {
    sent(bytes, vec![cpu_copy(Place::User, Place::Socket, bytes)])
}

fn sent(bytes: u64, movements: Vec<Movement>) -> Traffic {
    let calls = [("write".to_owned(), Calls { count: 4, bytes })].into();
    Traffic { payload_bytes: bytes, calls, movements, ..Traffic::default() }
}

fn recording(flows: impl Into<Ledger>) -> Recording {
    let environment = Environment {
        kernel: "any".into(),
        where_: Where::Host,
        tier: Tier::Kprobe,
        cycles: false,
        emulated: false,
    };
    let witnesses = Witnesses { copies: true, references: true };
    Recording::new(environment, "server".into(), 1, flows.into(), witnesses)
}

fn judged(rule: &str, recording: &Recording) -> Expectation {
    of_flows(&[rule.parse().unwrap()], recording).remove(0)
}

#[track_caller]
fn breaks(rule: &str, recording: &Recording, why: &str) {
    let judged = judged(rule, recording);
    assert!(!judged.held, "{rule}");
    let reason = judged.reason.unwrap();
    assert!(reason.contains(why), "{rule}: {reason}");
}

#[track_caller]
fn holds(rule: &str, recording: &Recording) -> Expectation {
    let judged = judged(rule, recording);
    assert_eq!(judged.reason, None, "{rule}");
    judged
}

/// Three quarters are passed on, the rest is written.
fn mixed() -> Recording {
    recording([
        (flow(file("/srv/a"), tcp(1)), passed(3 * BYTES)),
        (flow(Endpoint::memory(), tcp(2)), copied(BYTES)),
    ])
}

#[test]
fn a_rule_is_judged_on_the_sum_of_what_it_matches() {
    let all = holds("server: * -> tcp: cpu <= 0.25", &mixed());
    assert_eq!((all.measured, all.bytes, all.unseen_bytes), (Some(0.25), 4 * BYTES, 0));
    breaks(
        "* -> tcp: cpu < 0.25",
        &mixed(),
        "measured 0.25 over 4 MiB: server: memory -> tcp port 80",
    );
    breaks("cpu == 0", &mixed(), ", and 1 other flow");
    holds("file -> tcp: cpu == 0", &mixed());
    holds("file -> tcp: by_reference == 1", &mixed());
    holds("memory -> *: copies == 1", &mixed());
    holds("memory -> *: switches == 8", &mixed());
}

#[test]
fn names_are_paths_addresses_or_what_reports_call_them() {
    for end in ["tcp:*:80", "tcp:127.0.0.1:1", "tcp:port 80", "*:*:80", "tcp:* ? *:1"] {
        holds(&format!("s*r: file:/srv/? -> {end}: cpu == 0"), &mixed());
    }
    for end in ["tcp:*:81", "tcp:80", "udp", "tcp:127.0.0.1:2", "file"] {
        breaks(
            &format!("file -> {end}: cpu == 0"),
            &mixed(),
            "no flow matches; the busiest was server",
        );
    }
    breaks("serve: cpu <= 9", &mixed(), "no flow matches");
    breaks("cpu <= 9", &recording([]), "no flow matches: no data call was made");
}

#[test]
fn what_was_read_and_written_on_is_copied_twice() {
    let read = sent(BYTES, vec![cpu_copy(Place::PageCache, Place::User, BYTES)]);
    let written = Traffic { linked_bytes: BYTES, ..copied(BYTES) };
    let both = recording([
        (flow(file("/srv/a"), Endpoint::memory()), read),
        (flow(file("/srv/a"), tcp(1)), written),
    ]);
    breaks("file -> tcp: cpu <= 0.01", &both, "expected cpu <= 0.01, measured 2.00 over 1 MiB");
}

#[test]
fn what_nobody_saw_is_not_0() {
    let fuse = Endpoint { medium: Medium::FileSystem(0x6573_5546), ..file("/mnt/a") };
    let unseen = recording([
        (flow(file("/srv/a"), tcp(1)), passed(9 * BYTES)),
        (flow(fuse, tcp(1)), sent(BYTES, vec![])),
    ]);
    breaks(
        "file -> tcp: cpu <= 0.01",
        &unseen,
        "1 MiB of 10 MiB were not seen to move (no witness",
    );
    breaks("file -> tcp: cpu <= 0.01", &unseen, ": server: file /mnt/a -> tcp");
    breaks("file -> tcp: by_reference >= 0", &unseen, "for FUSE");
    let judged = holds("file -> tcp: switches < 9", &unseen);
    assert_eq!((judged.bytes, judged.unseen_bytes), (10 * BYTES, 0));
    holds("file:/srv/* -> tcp: cpu == 0", &unseen);
}

#[test]
fn what_may_belong_to_a_rule_leaves_it_open() {
    let unknown = || Endpoint::new(Kind::Other, UNKNOWN);
    let known = (flow(file("/srv/a"), tcp(1)), passed(BYTES));
    let with = |flow, traffic| recording([known.clone(), (flow, traffic)]);
    let unnamed = with(flow(unknown(), tcp(3)), copied(BYTES));
    breaks("file -> tcp: cpu == 0", &unnamed, "it is not known which file, connection or program");
    holds("file -> *:port 8?: cpu == 0", &mixed());
    let forgotten = with(flow(file("/srv/b"), Endpoint::new(Kind::Tcp, "port 80")), copied(BYTES));
    breaks("file -> tcp:*:1: cpu == 0", &forgotten, "it is not known which");
    let of_nobody = Process { name: UNKNOWN.into(), ..Process::default() };
    let of_nobody = Flow { process: of_nobody, ..flow(file("/srv/b"), tcp(1)) };
    breaks(
        "server: file -> tcp: cpu == 0",
        &with(of_nobody, copied(BYTES)),
        "it is not known which",
    );
    let no_room = flow(Endpoint::memory(), Endpoint::memory());
    breaks("file -> tcp: cpu == 0", &with(no_room, copied(BYTES)), "it is not known which");
    let elsewhere = with(flow(unknown(), file("/tmp/log")), copied(BYTES));
    holds("file -> tcp: cpu == 0", &elsewhere);
}

#[test]
fn what_is_not_counted_leaves_a_rule_open() {
    let calls = |name: &str| {
        let calls = [(name.to_owned(), Calls { count: 2, bytes: 0 })].into();
        Traffic { calls, ..Traffic::default() }
    };
    let known = (flow(file("/srv/a"), tcp(1)), passed(BYTES));
    let ring = (flow(Endpoint::memory(), Endpoint::memory()), calls("io_uring_enter"));
    let ring = recording([known.clone(), ring]);
    breaks("file -> tcp: cpu == 0", &ring, "what 2 calls of io_uring_enter() moved is not counted");
    let lookup = (flow(Endpoint::memory(), Endpoint::new(Kind::Udp, "a → b")), calls("sendmmsg"));
    let lookup = recording([known, lookup]);
    holds("file -> tcp: cpu == 0", &lookup);
    breaks("memory -> udp: cpu <= 9", &lookup, "what 2 calls of sendmmsg() moved is not counted");
    let empty = recording([(flow(file("/srv/a"), tcp(1)), calls("sendfile"))]);
    breaks("file -> tcp: cpu == 0", &empty, "no byte arrived");
}

#[test]
fn only_what_a_value_rests_on_makes_it_derived() {
    let derived = Movement {
        provenance: Provenance::Derived,
        ..cpu_copy(Place::PageCache, Place::User, BYTES)
    };
    let seen = Movement { by: Mover::Dma, ..cpu_copy(Place::Disk, Place::PageCache, BYTES) };
    let read = flow(file("/srv/a"), Endpoint::memory());
    let read = recording([(read, sent(BYTES, vec![derived, seen]))]);
    let provenance = |rule| holds(rule, &read).provenance;
    assert_eq!(provenance("cpu == 1"), Provenance::Derived);
    assert_eq!(provenance("copies == 2"), Provenance::Derived);
    assert_eq!(provenance("dma == 1"), Provenance::Measured);
    assert_eq!(provenance("switches == 8"), Provenance::Measured);
}

#[test]
fn a_recording_with_gaps_proves_nothing() {
    let mut lost = mixed();
    lost.lost_events = 1;
    breaks("file -> tcp: cpu == 0", &lost, "1 event was lost");
    let mut short = mixed();
    short.is_cut_short = true;
    breaks("file -> tcp: cpu == 0", &short, "counting ended before");
}

#[test]
fn what_a_network_card_gives_is_not_seen() {
    let read = sent(BYTES, vec![cpu_copy(Place::Socket, Place::User, BYTES)]);
    let received = recording([(flow(tcp(1), Endpoint::memory()), read)]);
    holds("tcp -> memory: cpu == 1", &received);
    breaks("tcp -> memory: dma == 0", &received, "what network cards write into memory");
}
