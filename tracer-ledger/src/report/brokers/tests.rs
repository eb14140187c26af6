//! What follows from deliveries, and every format of it.

use super::*;
use crate::{
    Movement, Place, Round, Setting, Side,
    broker::{Answer, Feature, Flavour, Survival},
    claims::Verdict,
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
    for format in [Format::Table, Format::Markdown, Format::Csv] {
        let text = written(format, &report);
        let lines = text.lines().filter(|line| line.contains("rocketmq-heap"));
        assert!(lines.count() >= 3, "{text}");
    }
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
    let document = written(Format::Json, &report(&evidence()));
    let mut document: serde_json::Value = serde_json::from_str(&document).unwrap();
    assert!(validator.is_valid(&document), "{document:#}");
    document["schema"] = "copytrace/brokers/0".into();
    assert!(!validator.is_valid(&document));
}
