//! The textbook's claims about the two brokers, and the results of running brokers built like them.

use schemars::JsonSchema;
use serde::Serialize;

use super::{TOLERANCE, Verdict};
use crate::{
    Cost, Delivery, Mover, Place, Setting,
    broker::{Answer, Feature, Flavour, Survival},
};

/// The measurements of the brokers.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// Every delivery.
    pub deliveries: Vec<Delivery>,
    /// The answer of each flavour to each feature.
    pub features: Vec<(Flavour, Feature, Answer)>,
    /// The messages that survived when a broker was killed.
    pub survival: Survival,
    /// Whether times mean anything: not where every instruction is emulated.
    pub times_count: bool,
}

/// One sentence of the textbook on brokers.
pub struct Claim {
    /// Its number.
    pub id: &'static str,
    /// The text of the claim.
    pub text: &'static str,
    /// The verdict from the evidence, and its reason.
    judge: fn(&Evidence) -> (Verdict, String),
}

/// The claims, in the textbook's order.
pub static CLAIMS: [Claim; 6] = [
    Claim {
        id: "Q1",
        text: "messages are kept on disk, so that they survive a crash of the broker process",
        judge: survives,
    },
    Claim {
        id: "Q2",
        text: "RocketMQ's zero copy is mmap, Kafka's is sendfile",
        judge: zero_copies,
    },
    Claim {
        id: "Q3",
        text: "Kafka is faster, through fewer copies and fewer switches",
        judge: faster,
    },
    Claim {
        id: "Q4",
        text: "mmap returns the content, so that the application can process messages; sendfile \
               returns only the number of bytes sent",
        judge: content,
    },
    Claim {
        id: "Q5",
        text: "RocketMQ needs the content: failed messages go to a dead-letter queue, \
               transactional ones are sent on commit and revoked on rollback",
        judge: features,
    },
    Claim { id: "Q6", text: "Kafka needs none of that, and so can use sendfile", judge: needs },
];

/// A claim on brokers, and the verdict of the measurement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct BrokerClaim {
    /// The claim's number, such as `Q1`.
    pub id: String,
    /// The textbook's claim.
    pub text: String,
    /// The verdict of the measurement.
    pub verdict: Verdict,
    /// The reason, with the evidence.
    pub note: String,
}

/// Two flavours that differ in copies, and the message size from which on they differ in cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Difference {
    /// The flavour with fewer copies.
    pub fewer: String,
    /// The flavour with more.
    pub more: String,
    /// The quantity that should be less.
    pub cost: Cost,
    /// The number of consumers.
    pub consumers: u64,
    /// Whether the log was in the page cache before: `cold` or `warm`.
    pub cache: String,
    /// The smallest measured message size, in bytes, from which on the flavour with fewer copies
    /// cost less in every round; `null` if there is none.
    pub since_message_bytes: Option<u64>,
}

/// The verdicts on all claims.
pub fn judge(evidence: &Evidence) -> Vec<BrokerClaim> {
    let judged = |claim: &Claim| {
        let (verdict, note) = (claim.judge)(evidence);
        BrokerClaim { id: claim.id.into(), text: claim.text.into(), verdict, note }
    };
    CLAIMS.iter().map(judged).collect()
}

/// The message size from which on fewer copies cost less, for every pair of flavours, number of consumers
/// and state of the cache that were measured.
pub fn differences(deliveries: &[Delivery]) -> Vec<Difference> {
    use Flavour::{Kafka, Rocketmq, RocketmqHeap};
    let mut differences = Vec::new();
    for cost in [Cost::Time, Cost::CpuTime] {
        for (fewer, more) in [(Kafka, Rocketmq), (Rocketmq, RocketmqHeap), (Kafka, RocketmqHeap)] {
            let mut groups: Vec<(u64, _)> = Vec::new();
            for (one, _) in pairs(deliveries, fewer, more) {
                let group = (one.setting.consumers, one.setting.cache);
                if !groups.contains(&group) {
                    groups.push(group);
                }
            }
            for (consumers, cache) in groups {
                let mut sizes: Vec<(u64, bool)> = pairs(deliveries, fewer, more)
                    .filter(|(one, _)| {
                        (one.setting.consumers, one.setting.cache) == (consumers, cache)
                    })
                    .map(|(one, other)| (one.setting.message_bytes, one.beats(other, cost)))
                    .collect();
                sizes.sort_unstable();
                let better = sizes.iter().rev().take_while(|(_, beats)| *beats);
                differences.push(Difference {
                    fewer: fewer.name().into(),
                    more: more.name().into(),
                    cost,
                    consumers,
                    cache: cache.name().into(),
                    since_message_bytes: better.last().map(|(size, _)| *size),
                });
            }
        }
    }
    differences
}

/// The deliveries of two flavours in the same setting.
fn pairs(
    deliveries: &[Delivery],
    one: Flavour,
    other: Flavour,
) -> impl Iterator<Item = (&Delivery, &Delivery)> {
    deliveries.iter().filter(move |delivery| delivery.setting.flavour == one).filter_map(
        move |delivery| {
            let wanted = Setting { flavour: other, ..delivery.setting };
            let same = deliveries.iter().find(|other| other.setting == wanted)?;
            Some((delivery, same))
        },
    )
}

fn survives(evidence: &Evidence) -> (Verdict, String) {
    let Survival { kills, acknowledged, lost, uncommitted, leaked, torn } = evidence.survival;
    let note = format!(
        "killed with SIGKILL {kills} times with producers running: of {acknowledged} acknowledged \
         messages {lost} were lost, of {uncommitted} uncommitted ones {leaked} were delivered, \
         {torn} torn records were cut off; every message was flushed to disk before it was \
         acknowledged, but only a loss of power would need that, and none was tried"
    );
    match (acknowledged, lost, leaked) {
        (0, ..) => (Verdict::NotTested, "no message was acknowledged before a kill".into()),
        (_, 0, 0) => (Verdict::Confirmed, note),
        _ => (Verdict::Refuted, note),
    }
}

/// The range of CPU copies per delivered byte of a flavour's deliveries.
fn cpu_copies(evidence: &Evidence, flavour: Flavour) -> Option<(f64, f64)> {
    let copies = evidence
        .deliveries
        .iter()
        .filter(|delivery| delivery.setting.flavour == flavour)
        .map(|delivery| delivery.observed.copies().cpu);
    copies.fold(None, |range, copies| {
        let (least, most) = range.unwrap_or((copies, copies));
        Some((f64::min(least, copies), f64::max(most, copies)))
    })
}

const ALL_FLAVOURS: &str = "not all flavours were measured";

fn zero_copies(evidence: &Evidence) -> (Verdict, String) {
    let ranges = Flavour::ALL.map(|flavour| cpu_copies(evidence, flavour));
    let [Some(kafka), Some(mapped), Some(heap)] = ranges else {
        return (Verdict::NotTested, ALL_FLAVOURS.into());
    };
    let note = format!(
        "CPU copies of a delivered byte: {:.2} with sendfile, {:.2} out of the mapping, {:.2} over \
         the heap; RocketMQ ships with transferMsgByHeap on, which is the last: its zero copy has \
         to be turned on, and is then one copy by the CPU",
        kafka.1, mapped.1, heap.1
    );
    let is = |(least, most): (f64, f64), copies: f64| {
        (least - copies).abs() <= TOLERANCE && (most - copies).abs() <= TOLERANCE
    };
    let expected = is(kafka, 0.0) && is(mapped, 1.0) && is(heap, 2.0);
    (if expected { Verdict::Refined } else { Verdict::Refuted }, note)
}

fn faster(evidence: &Evidence) -> (Verdict, String) {
    if !evidence.times_count {
        return (
            Verdict::NotTested,
            "this machine is emulated: its times mean nothing; run it on a real one".into(),
        );
    }
    let mut notes = Vec::new();
    let (mut won, mut all, mut lost, mut cheaper) = (0, 0, 0, 0);
    for other in [Flavour::Rocketmq, Flavour::RocketmqHeap] {
        let pairs: Vec<_> = pairs(&evidence.deliveries, Flavour::Kafka, other).collect();
        let count = |cost, swapped: bool| {
            let beats = |(kafka, other): &&(&Delivery, &Delivery)| match swapped {
                false => kafka.beats(other, cost),
                true => other.beats(kafka, cost),
            };
            pairs.iter().filter(beats).count()
        };
        let (time, cpu) = (count(Cost::Time, false), count(Cost::CpuTime, false));
        let slower = count(Cost::Time, true);
        let switches = pairs.iter().filter(|(kafka, other)| {
            let switches = |delivery: &Delivery| {
                delivery.observed.per_message(delivery.observed.mode_switches())
            };
            // The order and the mapping cost a part of a message: a thousandth is no difference.
            switches(kafka) * 1.01 < switches(other)
        });
        notes.push(format!(
            "than {}: faster in every round in {time} of {} settings, slower in every round in \
             {slower}; less CPU time in {cpu}; fewer mode switches (by more than 1 %) in {}",
            other.name(),
            pairs.len(),
            switches.count()
        ));
        (won, all, lost) = (won + time, all + pairs.len(), lost + slower);
        cheaper += cpu;
    }
    if all == 0 {
        return (Verdict::NotTested, ALL_FLAVOURS.into());
    }
    notes.push(
        "these are brokers that differ in how they hand messages out, and in nothing else, and not \
         Kafka and RocketMQ themselves"
            .into(),
    );
    let verdict = match won {
        _ if won == all => Verdict::Confirmed,
        0 if lost > 0 && cheaper == 0 => Verdict::Refuted,
        _ => Verdict::Refined,
    };
    (verdict, notes.join("; "))
}

/// Features, by name, that a flavour answered in some way.
fn answered(evidence: &Evidence, flavour: Flavour, wanted: fn(&Answer) -> bool) -> Vec<Feature> {
    let of_flavour = evidence.features.iter().filter(|(of, ..)| *of == flavour);
    of_flavour.filter(|(.., answer)| wanted(answer)).map(|(_, feature, _)| *feature).collect()
}

fn works(answer: &Answer) -> bool {
    *answer == Answer::Works
}

fn refused(answer: &Answer) -> bool {
    matches!(answer, Answer::Refused(_))
}

fn content(evidence: &Evidence) -> (Verdict, String) {
    let kafka = evidence.deliveries.iter().filter(|one| one.setting.flavour == Flavour::Kafka);
    let seen: u64 = kafka
        .flat_map(|delivery| delivery.observed.sent())
        // Its input is consumers' orders.
        .filter(|movement| movement.from != Place::Socket)
        .filter(|movement| movement.to == Place::User && movement.by == Mover::Cpu)
        .map(|movement| movement.bytes)
        .sum();
    let filters = |flavour| answered(evidence, flavour, works).contains(&Feature::TagFilter);
    let refuses = answered(evidence, Flavour::Kafka, refused).contains(&Feature::TagFilter);
    let holds =
        filters(Flavour::Rocketmq) && filters(Flavour::RocketmqHeap) && refuses && seen == 0;
    let note = format!(
        "out of the mapping the broker chose messages by tag; with sendfile {seen} bytes of \
         messages were copied to it, and it {}",
        if refuses { "refused to choose" } else { "did not refuse to choose" }
    );
    (if holds { Verdict::Confirmed } else { Verdict::Refuted }, note)
}

fn features(evidence: &Evidence) -> (Verdict, String) {
    let both = [Feature::Transaction, Feature::Redelivery];
    let all = |flavour, wanted| {
        let answered = answered(evidence, flavour, wanted);
        both.iter().all(|feature| answered.contains(feature))
    };
    let works = all(Flavour::Rocketmq, works) && all(Flavour::RocketmqHeap, works);
    let note = "a committed message is appended again from its half message, a failed one from \
                the message, at last to the dead-letter log: each time the broker reads it out of \
                the mapping; rolled back ones never came, nor did a fourth try"
        .to_owned();
    match works && all(Flavour::Kafka, refused) {
        true => (Verdict::Confirmed, note),
        false => (Verdict::Refuted, "a feature did not do what it should: see the features".into()),
    }
}

fn needs(evidence: &Evidence) -> (Verdict, String) {
    let copies = match cpu_copies(evidence, Flavour::Kafka) {
        Some((_, most)) => format!("{most:.2} CPU copies of a delivered byte"),
        None => "it was not run".to_owned(),
    };
    let note = format!(
        "what Kafka needs is no property of a running broker; what was seen is that one without \
         these features can use sendfile ({copies})"
    );
    (Verdict::NotTested, note)
}
