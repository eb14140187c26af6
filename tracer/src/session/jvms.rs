//! Java virtual machines among the traced processes. The kernel knows none: they are found by looking.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use crate::hotspot::{NoStub, Stub};

/// What is seen of the copies inside a virtual machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Nothing: they were not asked for.
    NotAsked,
    /// Those that its stub makes: from when on.
    FromTheBeginning,
    /// Likewise, but for those that it made before its stub was found, when the process had run so long.
    Late(Duration),
    /// Nothing, for this reason.
    Nothing(String),
}

/// How soon a process is looked at again, and how late at the latest: nobody says when it becomes a virtual
/// machine, and it is one soon as a rule.
const SOON: Duration = Duration::from_millis(10);
const LATE: Duration = Duration::from_secs(10);

/// A process is young for so long, and a virtual machine has its stub within this time.
const YOUNG: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(10);

/// A process that may be a virtual machine.
struct Open {
    since: Instant,
    looks: u32,
    next: Instant,
    pause: Duration,
}

/// The traced processes as they are called in flows; nothing of those of which all is known.
#[derive(Default)]
pub struct Jvms(BTreeMap<u32, Option<Open>>);

impl Jvms {
    /// Which of the processes that are traced now are to be looked at, and those that are gone.
    pub fn due(&mut self, traced: &BTreeSet<u32>, now: Instant) -> (Vec<u32>, Vec<u32>) {
        let gone: Vec<u32> = self.0.keys().filter(|it| !traced.contains(it)).copied().collect();
        self.0.retain(|process, _| traced.contains(process));
        for process in traced {
            let open = || Some(Open { since: now, looks: 0, next: now, pause: SOON });
            self.0.entry(*process).or_insert_with(open);
        }
        let is_due = |open: &Option<Open>| open.as_ref().is_some_and(|open| open.next <= now);
        let due = self.0.iter().filter(|(_, open)| is_due(open)).map(|(process, _)| *process);
        (due.collect(), gone)
    }

    /// Whether one of them may well be a virtual machine soon.
    pub fn are_awaited(&self, now: Instant) -> bool {
        self.0.values().flatten().any(|open| now - open.since < YOUNG)
    }

    /// All is known of a process.
    pub fn settle(&mut self, process: u32) {
        self.0.insert(process, None);
    }

    /// What a look at a process's memory has shown: its stub and whether that was the first look, or why it
    /// has none. Nothing as long as that may change.
    pub fn learn(
        &mut self,
        process: u32,
        found: Result<Option<Stub>, NoStub>,
        now: Instant,
    ) -> Option<Result<(u64, bool), String>> {
        let open = self.0.get_mut(&process)?.as_mut()?;
        open.looks += 1;
        open.next = now + open.pause;
        let reason = match found {
            Ok(Some(Stub::At(address))) => return Some(Ok((address, open.looks == 1))),
            // It has ended, or is none of ours to look at.
            Ok(None) | Err(NoStub::Memory(_)) => {
                open.pause = (2 * open.pause).min(LATE);
                return None;
            }
            Ok(Some(Stub::Coming)) => "its stub was not made".to_owned(),
            Err(error) => error.to_string(),
        };
        // Its library may be on the way into memory.
        (now - open.since > PATIENCE).then_some(Err(reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn set(processes: &[u32]) -> BTreeSet<u32> {
        processes.iter().copied().collect()
    }

    #[test]
    fn a_process_is_looked_at_ever_less_until_it_is_one() {
        let (mut jvms, start) = (Jvms::default(), Instant::now());
        let looks = (0..60_000).filter(|ms| {
            let now = start + *ms * MS;
            let (due, _) = jvms.due(&set(&[7]), now);
            due.iter().for_each(|process| assert!(jvms.learn(*process, Ok(None), now).is_none()));
            !due.is_empty()
        });
        assert_eq!(looks.count(), 15);
        let now = start + 61_000 * MS;
        assert_eq!(jvms.due(&set(&[7]), now).0, [7]);
        assert_eq!(jvms.learn(7, Ok(Some(Stub::At(9))), now), Some(Ok((9, false))));
        jvms.settle(7);
        assert!(jvms.due(&set(&[7]), now + LATE).0.is_empty());
    }

    #[test]
    fn what_is_gone_is_forgotten_and_what_comes_is_new() {
        let (mut jvms, now) = (Jvms::default(), Instant::now());
        assert_eq!(jvms.due(&set(&[7, 8]), now), (vec![7, 8], vec![]));
        assert!(jvms.are_awaited(now));
        jvms.settle(7);
        assert_eq!(jvms.due(&set(&[9]), now), (vec![9], vec![7, 8]));
        assert_eq!(jvms.learn(9, Ok(Some(Stub::At(1))), now), Some(Ok((1, true))));
        assert!(!jvms.are_awaited(now + YOUNG));
        assert_eq!(jvms.learn(7, Ok(Some(Stub::At(1))), now), None);
    }

    #[test]
    fn a_library_has_time_to_be_loaded() {
        let (mut jvms, now) = (Jvms::default(), Instant::now());
        jvms.due(&set(&[7]), now);
        assert_eq!(jvms.learn(7, Err(NoStub::Untold), now), None);
        assert_eq!(jvms.learn(7, Ok(Some(Stub::Coming)), now + PATIENCE), None);
        let late = now + PATIENCE + MS;
        let reason = jvms.learn(7, Err(NoStub::Untold), late).unwrap().unwrap_err();
        assert!(reason.contains("gHotSpotVMStructs"), "{reason}");
    }
}
