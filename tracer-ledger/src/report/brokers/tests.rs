//! The report of deliveries, in every format.

use super::*;
use crate::{
    Movement, Place, Round, Setting, Side,
    broker::{Answer, Feature, Flavour, Survival},
    claims::Verdict,
    flows::{Calls, Endpoint, Ledger, Traffic, derive::Witnesses, jvm, tests as flow_tests},
    report::{flows, html::tests::fault},
    workload::Cache,
};

const BYTES: u64 = 1 << 30;

/// As the kernel shows a flavour: so many CPU copies of every byte.
fn observed(flavour: Flavour) -> Observation {
    let moved = |from, to, by| Movement {
        from,
        to,
        by,
        side: Side::Sender,
        provenance: Provenance::Measured,
        witness: "witness".into(),
        bytes: BYTES,
        calls: 1,
        verified_bytes: None,
    };
    let movements = match flavour {
        Flavour::Kafka => vec![moved(Place::PageCache, Place::Socket, Mover::Reference)],
        Flavour::Rocketmq => vec![moved(Place::PageCache, Place::Socket, Mover::Cpu)],
        Flavour::RocketmqHeap => vec![
            moved(Place::User, Place::User, Mover::Cpu),
            moved(Place::User, Place::Socket, Mover::Cpu),
        ],
    };
    Observation {
        strategy: flavour.name().into(),
        messages: 1024,
        payload_bytes: BYTES,
        syscalls: BTreeMap::from([("writev".into(), 1024)]),
        movements,
        ..Observation::default()
    }
}

/// Rounds that are the slower the more copies and bytes there are; of small messages it is luck.
fn rounds(flavour: Flavour, message_bytes: u64) -> Vec<Round> {
    let copies = Flavour::ALL.iter().position(|one| *one == flavour).unwrap() as f64;
    (0..5)
        .map(|round| {
            let luck = if round == 2 { -copies } else { copies };
            let slower = if message_bytes < 4096 { luck } else { copies };
            let seconds = 1.0 + 0.1 * slower + 0.01 * f64::from(round);
            Round { seconds, cpu_seconds: seconds / 2.0 }
        })
        .collect()
}

fn evidence() -> Evidence {
    let mut deliveries = Vec::new();
    for message_bytes in [1 << 10, 16 << 10, 256 << 10] {
        for flavour in Flavour::ALL {
            let cache = Cache::Warm;
            deliveries.push(Delivery {
                setting: Setting { flavour, message_bytes, consumers: 16, cache },
                messages: 1024,
                bytes: BYTES,
                rounds: rounds(flavour, message_bytes),
                observed: observed(flavour),
            });
        }
    }
    let answer = |flavour: Flavour| match flavour.sees_content() {
        true => Answer::Works,
        false => Answer::Refused("it never sees them".into()),
    };
    let asked = |flavour| Feature::ALL.map(|feature| (flavour, feature, answer(flavour)));
    Evidence {
        deliveries,
        features: Flavour::ALL.into_iter().flat_map(asked).collect(),
        survival: Survival {
            kills: 5,
            acknowledged: 99,
            lost: 0,
            uncommitted: 9,
            leaked: 0,
            torn: 5,
        },
        times_count: true,
    }
}

fn report(evidence: &Evidence) -> BrokerReport {
    let environment = BrokerEnvironment {
        kernel: "6.12.41".into(),
        where_: Where::Vm,
        tier: Tier::Fentry,
        nic: "lo".into(),
        disk: "ext4 on vda".into(),
        processor: "EPYC".into(),
        cpus: 2,
        hypervisor: Some("KVM".into()),
        emulated: false,
    };
    let produced = Produced {
        message_bytes: 1024,
        messages: 100,
        producers: 16,
        messages_per_second: Spread::of([1000.0, 1200.0, 1100.0]),
        bytes_per_second: Spread::of([1e6, 1.2e6, 1.1e6]),
        flushes_per_message: Spread::of([0.07]),
    };
    BrokerReport::new(environment, vec![produced], evidence)
}

/// Two rounds in which a tenth of the log is sent twice, with a few bytes out of memory.
fn program(setting: &str, reference: bool, emulated: bool) -> ProgramDelivery {
    let by = if reference { Mover::Reference } else { Mover::Cpu };
    let moved = |from, bytes| {
        let movement = Movement { bytes, by, ..flow_tests::cpu_copy(from, Place::Socket, bytes) };
        let calls = BTreeMap::from([("write".to_owned(), Calls { count: 10, bytes })]);
        Traffic { payload_bytes: bytes, movements: vec![movement], calls, ..Traffic::default() }
    };
    let inside = Movement {
        witness: jvm::WITNESS.into(),
        ..flow_tests::cpu_copy(Place::User, Place::User, 2_202_000)
    };
    let inside = Traffic { movements: vec![inside], ..Traffic::default() };
    let to = || flow_tests::tcp(4000);
    let ledger = Ledger::from([
        (flow_tests::flow(flow_tests::file("/log"), to()), moved(Place::PageCache, 1_100_000)),
        (flow_tests::flow(Endpoint::memory(), to()), moved(Place::User, 1000)),
        (flow_tests::flow(Endpoint::memory(), Endpoint::memory()), inside),
    ]);
    let counted = Counted { ledger, messages: 1000, log_bytes: 1_000_000, lost_events: 1 };
    ProgramDelivery::new(ProgramRounds {
        program: "kafka",
        version: "4.4.0",
        setting,
        message_bytes: 1000,
        timed: &[1.0, 2.0, 4.0].map(|seconds| Round { seconds, cpu_seconds: 0.5 }),
        counted: &[counted.clone(), counted],
        witnesses: Witnesses { copies: true, references: true },
        environment: &flows::Environment {
            kernel: "6.12.41".into(),
            where_: Where::Host,
            tier: Tier::Fentry,
            cycles: false,
            emulated,
        },
        jvm_copies: setting == "transferMsgByHeap=true",
    })
}

#[test]
fn a_program_is_told_as_its_flows_are() {
    let row = program("plaintext", true, false);
    assert_eq!((row.messages, row.log_bytes, row.sent_bytes), (1000, 1_000_000, 2_202_000));
    assert_eq!(row.sent_twice_bytes, Some(200_000));
    assert_eq!((row.copies_per_byte.cpu, row.by_reference_per_byte), (Some(0.0), Some(1.0)));
    assert_eq!(row.bytes_per_second.unwrap().median, 500_000.0);
    assert_eq!(row.cpu_seconds_per_gb.unwrap().median, 500.0);
    assert_eq!((row.syscalls_per_message.median, row.lost_events), (0.02, 2));
    assert_eq!(row.flows.len(), 2);
    let copied = program("transferMsgByHeap=false", false, true);
    assert_eq!((copied.copies_per_byte.cpu, copied.by_reference_per_byte), (Some(1.0), Some(0.0)));
    assert_eq!(copied.bytes_per_second, None);
    assert_eq!(copied.jvm_copies_per_byte, None);
    assert_eq!(program("transferMsgByHeap=true", false, true).jvm_copies_per_byte, Some(2.0));
}

#[test]
fn every_format_has_every_program() {
    let mut report = report(&evidence());
    report.add(vec![program("plaintext", true, false), program("other", false, true)]);
    assert_eq!(report.lost_events, 4);
    for format in [Format::Table, Format::Markdown, Format::Html, Format::Csv] {
        let text = written(format, &report);
        assert!(text.contains("plaintext") && text.contains("other"), "{text}");
    }
    for line in written(Format::Table, &report).lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

fn verdict(evidence: &Evidence, id: &str) -> (Verdict, String) {
    let claims = report(evidence).claims;
    let claim = claims.into_iter().find(|claim| claim.id == id).unwrap();
    (claim.verdict, claim.note)
}

fn written(format: Format, report: &BrokerReport) -> String {
    let mut out = Vec::new();
    write(format, report, &Style::plain(100), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_claims_are_judged_by_what_was_seen() {
    let verdicts = report(&evidence()).claims.into_iter().map(|claim| claim.verdict);
    use Verdict::{Confirmed, NotTested, Refined};
    let expected = [Confirmed, Refined, Refined, Confirmed, Confirmed, NotTested];
    assert_eq!(verdicts.collect::<Vec<_>>(), expected);
}

#[test]
fn a_broken_promise_refutes() {
    let mut lossy = evidence();
    lossy.survival.lost = 1;
    assert_eq!(verdict(&lossy, "Q1").0, Verdict::Refuted);
    let mut copying = evidence();
    copying.deliveries[0].observed = observed(Flavour::Rocketmq);
    assert_eq!(verdict(&copying, "Q2").0, Verdict::Refuted);
    let mut deaf = evidence();
    for (.., answer) in &mut deaf.features {
        *answer = Answer::Fails("nothing came".into());
    }
    for id in ["Q4", "Q5"] {
        assert_eq!(verdict(&deaf, id).0, Verdict::Refuted, "{id}");
    }
}

#[test]
fn slower_with_less_cpu_time_is_no_refutation() {
    let mut slower = evidence();
    for delivery in &mut slower.deliveries {
        for round in &mut delivery.rounds {
            round.seconds = 10.0 - round.seconds;
        }
    }
    assert_eq!(verdict(&slower, "Q3").0, Verdict::Refined);
    for delivery in &mut slower.deliveries {
        for round in &mut delivery.rounds {
            round.cpu_seconds = round.seconds;
        }
    }
    assert_eq!(verdict(&slower, "Q3").0, Verdict::Refuted);
}

#[test]
fn without_times_nobody_is_faster() {
    let emulated = Evidence { times_count: false, ..evidence() };
    assert!(report(&emulated).differences.is_empty());
    let (verdict, note) = verdict(&emulated, "Q3");
    assert_eq!(verdict, Verdict::NotTested);
    assert!(note.contains("emulated"), "{note}");
}

#[test]
fn a_difference_counts_from_the_size_on_that_all_larger_ones_share() {
    let report = report(&evidence());
    assert_eq!(report.differences.len(), 6);
    for difference in report.differences {
        assert_eq!(difference.since_message_bytes, Some(16 << 10), "{difference:?}");
    }
}

#[test]
fn every_format_has_every_delivery() {
    let report = report(&evidence());
    for format in [Format::Table, Format::Markdown, Format::Html, Format::Csv] {
        let text = written(format, &report);
        let lines = text.lines().filter(|line| line.contains("rocketmq-heap"));
        assert!(lines.count() >= 3, "{text}");
    }
    assert_eq!(fault(&written(Format::Html, &report)), None);
    let table = written(Format::Table, &report);
    for line in table.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

#[test]
fn json_is_what_the_schema_says() {
    let mut schema = Vec::new();
    crate::report::write_schema::<BrokerReport>(SCHEMA, &mut schema).unwrap();
    let schema = serde_json::from_slice(&schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut report = report(&evidence());
    report.add(vec![program("plaintext", true, false)]);
    let document = written(Format::Json, &report);
    let mut document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert!(validator.is_valid(&document), "{document:#}");
    document["schema"] = "copytrace/brokers/0".into();
    assert!(!validator.is_valid(&document));
}
