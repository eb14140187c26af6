//! Java virtual machines among the traced processes, and what the reader of the report is to know of them.

use std::collections::BTreeSet;

use tracer::{
    hotspot::Finder,
    session::{Jvm, Sight},
};
use tracer_ledger::Warning;

/// Those that were found so far.
#[derive(Debug, Default)]
pub struct Jvms {
    asked: bool,
    found: Vec<Jvm>,
}

impl Jvms {
    /// None yet. `asked`: their copies are to be counted.
    pub fn new(asked: bool) -> Self {
        Self { asked, found: Vec::new() }
    }

    /// Whether their copies are to be counted.
    pub fn are_asked_for(&self) -> bool {
        self.asked
    }

    /// Adds those that were found since.
    pub fn extend(&mut self, found: Vec<Jvm>) {
        self.found.extend(found);
    }

    /// Why no copies can be counted of these processes, if they were looked at and none can.
    pub fn refusal(&self, processes: &BTreeSet<u32>) -> Option<Warning> {
        let is_seen = |jvm: &Jvm| matches!(jvm.sight, Sight::FromTheBeginning | Sight::Late(_));
        if !self.asked || self.found.iter().any(is_seen) {
            return None;
        }
        self.unseen().next().or_else(|| why_not(processes))
    }

    /// What to know before trusting the numbers.
    pub fn warnings(&self) -> Vec<Warning> {
        let of = |is_wanted: fn(&Sight) -> bool| -> Option<Vec<u32>> {
            let wanted = self.found.iter().filter(|jvm| is_wanted(&jvm.sight));
            let pids: BTreeSet<u32> = wanted.map(|jvm| jvm.pid).collect();
            (!pids.is_empty()).then(|| pids.into_iter().collect())
        };
        let not_asked = of(|sight| *sight == Sight::NotAsked);
        let seen = of(|sight| matches!(sight, Sight::FromTheBeginning | Sight::Late(_)));
        let late = self.found.iter().filter_map(|jvm| match jvm.sight {
            Sight::Late(age) => {
                let after_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
                Some(Warning::JvmSeenLate { pid: jvm.pid, after_ms })
            }
            _ => None,
        });
        let none = (self.asked && self.found.is_empty()).then_some(Warning::NoJvm);
        let all = [
            not_asked.map(|pids| Warning::JvmNotSeen { pids }),
            seen.map(|pids| Warning::JvmSeenInPart { pids }),
            none,
        ];
        all.into_iter().flatten().chain(late).chain(self.unseen()).collect()
    }

    fn unseen(&self) -> impl Iterator<Item = Warning> + '_ {
        self.found.iter().filter_map(|jvm| match &jvm.sight {
            Sight::Nothing(reason) => {
                Some(Warning::JvmUnseen { pid: jvm.pid, reason: reason.clone() })
            }
            _ => None,
        })
    }
}

/// Why none of these processes has a stub, nor will have one soon.
fn why_not(processes: &BTreeSet<u32>) -> Option<Warning> {
    let (mut finder, mut reason) = (Finder::default(), Warning::NoJvm);
    for &pid in processes {
        match finder.stub(pid) {
            Ok(Some(_)) => return None,
            Ok(None) => {}
            Err(error) => reason = Warning::JvmUnseen { pid, reason: error.to_string() },
        }
    }
    Some(reason)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn codes(asked: bool, found: &[(u32, Sight)]) -> Vec<String> {
        let mut jvms = Jvms::new(asked);
        jvms.extend(
            found.iter().map(|(pid, sight)| Jvm { pid: *pid, sight: sight.clone() }).collect(),
        );
        jvms.warnings().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_seen_of_each_is_told_once() {
        assert!(codes(false, &[]).is_empty());
        let not_asked = codes(false, &[(9, Sight::NotAsked), (7, Sight::NotAsked)]);
        let told = "copies inside the Java virtual machines of processes 7 and 9 are not seen: --jvm-copies \
                    counts them";
        assert_eq!(not_asked, [told]);
        let seen = codes(
            true,
            &[(7, Sight::FromTheBeginning), (8, Sight::Late(Duration::from_millis(90)))],
        );
        assert_eq!(seen.len(), 2);
        assert!(
            seen[0].contains("processes 7 and 8")
                && seen[1].contains("process 8 are counted from 90 ms"),
            "{seen:?}"
        );
        let none = codes(true, &[(7, Sight::Nothing("no".into()))]);
        assert_eq!(none, ["copies inside the Java virtual machine of process 7 are not seen: no"]);
    }

    #[test]
    fn nothing_to_count_is_told_when_it_was_asked_for() {
        assert_eq!(codes(true, &[]).len(), 1);
        let (mut jvms, this) = (Jvms::new(true), BTreeSet::from([std::process::id()]));
        assert_eq!(jvms.refusal(&this), Some(Warning::NoJvm));
        jvms.extend(vec![Jvm { pid: 7, sight: Sight::Nothing("no".into()) }]);
        assert!(matches!(jvms.refusal(&this), Some(Warning::JvmUnseen { pid: 7, .. })));
        jvms.extend(vec![Jvm { pid: 8, sight: Sight::Late(Duration::ZERO) }]);
        assert_eq!(jvms.refusal(&this), None);
        assert_eq!(Jvms::new(false).refusal(&this), None);
    }
}
