//! Rules for the strategies of `demo`: a strategy's name stands for the program's.

use super::{Evidence, Expectation, Measure, Rule, judge, lost};
use crate::{
    Mover, Provenance,
    claims::{Judgement, Quantity},
    report::{Measured, Report},
};

/// The result of each rule.
pub fn of_strategies(rules: &[Rule], report: &Report) -> Vec<Expectation> {
    rules.iter().map(|rule| judge(rule, evidence(rule, report))).collect()
}

impl Measure {
    /// The quantity of a strategy, and the movers that it counts; none for measures of flows only.
    fn of_strategy(self) -> Option<(Quantity, &'static [Mover])> {
        match self {
            Self::Cpu => Some((Quantity::CpuCopies, &[Mover::Cpu])),
            Self::Dma => Some((Quantity::DmaCopies, &[Mover::Dma])),
            Self::Copies => Some((Quantity::AllCopies, &[Mover::Cpu, Mover::Dma])),
            Self::ByReference | Self::Switches => None,
        }
    }

    /// Whether strategies have this measure.
    pub fn is_of_strategies(self) -> bool {
        self.of_strategy().is_some()
    }
}

impl Rule {
    fn is_about(&self, strategy: &str) -> bool {
        self.program.as_ref().is_none_or(|program| program.matches(strategy))
    }
}

fn evidence(rule: &Rule, report: &Report) -> Result<Evidence, String> {
    let Some((quantity, movers)) = rule.measure.of_strategy() else {
        return Err(format!("{} is not measured of a strategy", rule.measure));
    };
    let matched = report.measured().filter(|it| rule.is_about(&it.name));
    let matched: Vec<&Measured> = matched.collect();
    if matched.is_empty() {
        return Err(words_of_none(rule, report));
    }
    let moved = |strategy: &&Measured| -> u64 {
        let own = strategy.movements_of(strategy.side);
        own.filter(|movement| movers.contains(&movement.by)).map(|movement| movement.bytes).sum()
    };
    let unseen = |strategy: &&Measured| u64::try_from(strategy.unaccounted_bytes).unwrap_or(0);
    let judgements = || matched.iter().flat_map(|strategy| &strategy.quantities);
    let judgements = || judgements().filter(|judgement| judgement.quantity == quantity);
    let names: Vec<_> = matched.iter().map(|strategy| strategy.name.as_str()).collect();
    let lost_events = matched.iter().map(|strategy| strategy.lost_events).sum();
    Ok(Evidence {
        bytes: matched.iter().map(|strategy| strategy.payload_bytes).sum(),
        amount: matched.iter().map(moved).sum(),
        unseen_bytes: matched.iter().map(unseen).sum(),
        missing: matched.iter().map(unseen).sum(),
        unseen_reason: "no witness saw them".to_owned(),
        provenance: judgements().map(|it| it.provenance).max().unwrap_or(Provenance::Measured),
        gap: lost(lost_events).or_else(|| judgements().find_map(words_of_open)),
        what: names.join(", "),
    })
}

/// The reason why a number is open, if it is.
fn words_of_open(judgement: &Judgement) -> Option<String> {
    judgement.measured.is_none().then(|| match judgement.reasons.as_slice() {
        [] => "not all was seen to move".to_owned(),
        reasons => reasons.join("; "),
    })
}

/// The message that nothing matches, with the reason, or with the strategies there are.
fn words_of_none(rule: &Rule, report: &Report) -> String {
    match report.skipped().find(|it| rule.is_about(&it.name)) {
        Some(skipped) => format!("{} did not run: {}", skipped.name, skipped.skipped),
        None => {
            let names: Vec<_> = report.measured().map(|it| it.name.as_str()).collect();
            format!("no strategy matches; there were {}", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::workload::Cache;

    use super::*;
    use crate::{
        Observation, Tier,
        claims::samples,
        report::{Environment, Outcome, Payload, Where},
    };

    fn report(outcomes: Vec<Outcome>) -> Report {
        let environment = Environment {
            kernel: "any".into(),
            where_: Where::Vm,
            tier: Tier::Fentry,
            nic: "eth0".into(),
            scatter_gather: true,
            cache: Cache::Cold,
            disk: "ext4".into(),
            emulated: true,
            load: None,
        };
        let payload =
            Payload { message_bytes: samples::MESSAGE_BYTES, messages: samples::MESSAGES };
        Report::new(environment, payload, &outcomes)
    }

    fn judged(rule: &str, report: &Report) -> Expectation {
        of_strategies(&[rule.parse().unwrap()], report).remove(0)
    }

    #[test]
    fn rules_are_on_the_numbers_of_the_report() {
        let all = [samples::read_write(), samples::mmap_write(), samples::sendfile()];
        let report = report(all.map(Outcome::from).into());
        for measured in report.measured() {
            let name = &measured.name;
            let copies = measured.copies;
            let values = [("cpu", copies.cpu), ("dma", copies.dma), ("copies", copies.total)];
            for (measure, value) in values {
                let judged = judged(&format!("{name}: {measure} == {value}"), &report);
                assert_eq!((judged.held, judged.measured), (true, Some(value)), "{judged:?}");
            }
        }
        let judged = judged("*-write: cpu < 1", &report);
        assert!(judged.reason.unwrap().ends_with(": read-write, mmap-write"));
    }

    #[test]
    fn what_was_not_seen_or_did_not_run_breaks_a_rule() {
        let blind = Observation { movements: Vec::new(), ..samples::sendfile() };
        let lost = Observation { lost_events: 1, ..samples::sendfile() };
        let skipped = || Outcome::skipped("splice", "no pipes");
        let reason = |rule: &str, outcomes| judged(rule, &report(outcomes)).reason.unwrap();
        let open = judged("sendfile: cpu == 0", &report(vec![blind.into()]));
        assert_eq!((open.held, open.measured), (false, None));
        assert!(open.unseen_bytes > 0);
        assert!(reason("cpu == 0", vec![lost.into()]).contains("but 1 event was lost"));
        assert_eq!(reason("splice: cpu <= 9", vec![skipped()]), "splice did not run: no pipes");
        let outcomes = vec![samples::sendfile().into(), skipped()];
        assert_eq!(reason("tee: cpu <= 9", outcomes), "no strategy matches; there were sendfile");
    }
}
