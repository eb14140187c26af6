//! Expectations: the user's rules, compared with the measurement, so that a build fails when a server
//! stops being zero-copy.
//!
//! A rule holds only if that is certain: unseen bytes may have been copied, so they never count as 0. The
//! judgement is here; its evidence comes from a ledger ([`of_flows`]) or from the strategies
//! ([`of_strategies`]).

mod flows;
#[cfg(test)]
mod grammar;
#[cfg(test)]
mod ledgers;
mod rule;
mod strategies;

use schemars::JsonSchema;
use serde::Serialize;

use crate::{Provenance, flows::verdict::is_much, words};

pub use flows::of_flows;
pub use rule::{Measure, Mistake, Rule};
pub use strategies::of_strategies;

/// The result of a rule.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Expectation {
    /// The rule.
    pub rule: String,
    /// Whether it holds.
    pub held: bool,
    /// The value of the measure; `null` where it is open.
    pub measured: Option<f64>,
    /// The provenance of the value.
    pub provenance: Provenance,
    /// Payload that the rule is about, in bytes.
    pub bytes: u64,
    /// Bytes of it that were not seen to move, or that may belong to it.
    pub unseen_bytes: u64,
    /// The reason why it is broken, with the flow; `null` if it holds.
    pub reason: Option<String>,
}

/// The basis for judging a rule: the sum of all flows that it matches.
struct Evidence {
    /// Payload that arrived.
    bytes: u64,
    /// The amount of the measure.
    amount: u64,
    /// Payload that was not seen to move, or that may belong to it.
    unseen_bytes: u64,
    /// The amount that these bytes may add.
    missing: u64,
    /// The reason why they were not seen.
    unseen_reason: String,
    /// The provenance of the amount.
    provenance: Provenance,
    /// Another reason why there is no value, if there is one.
    gap: Option<String>,
    /// The matched flows, in words.
    what: String,
}

impl Evidence {
    /// The reason why the value is open, if it is.
    fn why_open(&self) -> Option<String> {
        if self.gap.is_some() {
            return self.gap.clone();
        }
        if self.bytes == 0 {
            return Some("no byte arrived".to_owned());
        }
        is_much(self.unseen_bytes, self.bytes).then(|| {
            let (unseen, all) = (words::size(self.unseen_bytes), words::size(self.bytes));
            format!("{unseen} of {all} were not seen to move ({})", self.unseen_reason)
        })
    }
}

/// Judges the evidence; the error is the reason why there is none.
fn judge(rule: &Rule, found: Result<Evidence, String>) -> Expectation {
    let broken = Expectation {
        rule: rule.to_string(),
        held: false,
        measured: None,
        provenance: Provenance::Measured,
        bytes: 0,
        unseen_bytes: 0,
        reason: None,
    };
    let found = match found {
        Ok(found) => found,
        Err(reason) => return Expectation { reason: Some(reason), ..broken },
    };
    let Evidence { bytes, unseen_bytes, provenance, .. } = found;
    let broken = Expectation { bytes, unseen_bytes, provenance, ..broken };
    if let Some(gap) = found.why_open() {
        let reason = format!("expected {}, but {gap}: {}", rule.condition(), found.what);
        return Expectation { reason: Some(reason), ..broken };
    }
    let value = rule.measure().value(found.amount, bytes);
    let held = rule.holds(found.amount, found.missing, bytes);
    let reason = (!held).then(|| words_of_broken(rule, value, &found));
    Expectation { held, measured: Some(value), reason, ..broken }
}

/// The note on lost events, each of which may have any number of bytes.
fn lost(events: u64) -> Option<String> {
    match events {
        0 => None,
        1 => Some("1 event was lost".to_owned()),
        events => Some(format!("{events} events were lost")),
    }
}

/// `expected cpu <= 0.01, measured 1.00 over 402 MiB: nginx: file /srv/x -> tcp port 8090`
fn words_of_broken(rule: &Rule, value: f64, found: &Evidence) -> String {
    let unseen = match found.unseen_bytes {
        0 => String::new(),
        bytes => format!(
            ", of which {} were not seen to move ({})",
            words::size(bytes),
            found.unseen_reason
        ),
    };
    format!(
        "expected {}, {} {} over {}{unseen}: {}",
        rule.condition(),
        words_of(found.provenance),
        shown(rule, value),
        words::size(found.bytes),
        found.what
    )
}

fn words_of(provenance: Provenance) -> &'static str {
    match provenance {
        Provenance::Measured => "measured",
        Provenance::Derived => "derived",
    }
}

/// A value, with enough digits to show on which side of the rule it is.
fn shown(rule: &Rule, value: f64) -> String {
    let digits = (2..10).map(|digits| format!("{value:.digits$}"));
    let is_same =
        |text: &String| text.parse().is_ok_and(|it| rule.allows(it) == rule.allows(value));
    digits.into_iter().find(is_same).unwrap_or_else(|| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(amount: u64, unseen_bytes: u64) -> Evidence {
        Evidence {
            bytes: 1 << 20,
            amount,
            unseen_bytes,
            missing: unseen_bytes,
            unseen_reason: "no witness for FUSE".to_owned(),
            provenance: Provenance::Measured,
            gap: None,
            what: "nginx: file a -> tcp port 80".to_owned(),
        }
    }

    fn judged(rule: &str, found: Evidence) -> Expectation {
        judge(&rule.parse().unwrap(), Ok(found))
    }

    #[test]
    fn each_operator_compares() {
        let holds = |operator| {
            let rule = format!("cpu {operator} 1");
            [0, 1 << 20, 2 << 20].map(|amount| judged(&rule, found(amount, 0)).held)
        };
        assert_eq!(holds("<="), [true, true, false]);
        assert_eq!(holds("<"), [true, false, false]);
        assert_eq!(holds(">="), [false, true, true]);
        assert_eq!(holds(">"), [false, false, true]);
        assert_eq!(holds("=="), [false, true, false]);
    }

    #[test]
    fn a_broken_rule_says_what_was_measured_of_what() {
        let judged = judged("nginx: cpu <= 0.01", found(2 << 20, 0));
        assert_eq!((judged.measured, judged.bytes), (Some(2.0), 1 << 20));
        assert_eq!(
            judged.reason.unwrap(),
            "expected cpu <= 0.01, measured 2.00 over 1 MiB: nginx: file a -> tcp port 80"
        );
    }

    #[test]
    fn unseen_bytes_never_pass_for_0() {
        let open = judged("cpu <= 2", found(0, 1 << 19));
        assert_eq!((open.held, open.measured, open.unseen_bytes), (false, None, 1 << 19));
        assert_eq!(
            open.reason.unwrap(),
            "expected cpu <= 2, but 512 KiB of 1 MiB were not seen to move (no witness for FUSE): \
             nginx: file a -> tcp port 80"
        );
        // Too little to show in a ratio: it counts as copied.
        let little = judged("cpu == 0", found(0, 1));
        assert_eq!((little.held, little.measured), (false, Some(0.0)));
        assert!(
            little.reason.unwrap().contains(", of which 1 B were not seen to move (no witness")
        );
        assert!(judged("cpu <= 0.01", found(0, 1)).held);
        assert!(judged("cpu <= 0.01", found(10_000, 0)).held);
        assert!(!judged("cpu <= 0.01", found(10_000, 1000)).held);
    }

    #[test]
    fn a_gap_breaks_every_rule() {
        let gap = || Evidence { gap: Some("3 events were lost".to_owned()), ..found(0, 0) };
        for rule in ["cpu <= 0.01", "cpu >= 0", "switches < 10"] {
            let judged = judged(rule, gap());
            assert_eq!((judged.held, judged.measured), (false, None));
            assert!(judged.reason.unwrap().contains("but 3 events were lost: nginx"));
        }
    }

    #[test]
    fn a_value_has_the_digits_that_tell() {
        let shown = |rule: &str, value| shown(&rule.parse().unwrap(), value);
        assert_eq!(shown("cpu <= 0.01", 2.0), "2.00");
        assert_eq!(shown("cpu <= 0.001", 0.0011), "0.0011");
        assert_eq!(shown("cpu == 0", 0.000_001), "0.000001");
        assert_eq!(shown("cpu == 0", 1e-20), "0.00000000000000000001");
    }
}
