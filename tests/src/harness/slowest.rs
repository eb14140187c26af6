//! Statistics: the slowest trials, and the failures of each.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::plan::Planned;

/// The number of slowest trials shown.
const SHOWN: usize = 10;

/// The times of all trials.
#[derive(Default)]
pub struct Times(Mutex<Vec<Time>>);

/// The time of one trial.
struct Time {
    name: String,
    /// Its name without the repetition's number.
    what: String,
    took: Duration,
    failed: bool,
}

impl Times {
    /// Notes one more trial.
    pub fn add(&self, planned: &Planned, took: Duration, failed: bool) {
        let Planned { name, what, .. } = planned;
        let time = Time { name: name.clone(), what: what.clone(), took, failed };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(time);
    }

    /// A summary of all trials, in a few lines.
    pub fn summary(&self) -> String {
        let mut times = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        times.sort_by_key(|time| std::cmp::Reverse(time.took));
        let slowest = times.iter().take(SHOWN);
        let line = |time: &Time| format!("{:7.1} s  {}\n", time.took.as_secs_f64(), time.name);
        format!("slowest:\n{}{}", slowest.map(line).collect::<String>(), repeated(&times))
    }
}

/// The failures of each repeated trial, if there were any.
fn repeated(times: &[Time]) -> String {
    let mut counts: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    for time in times {
        let (failed, all) = counts.entry(&time.what).or_default();
        *failed += u32::from(time.failed);
        *all += 1;
    }
    let line = |(what, (failed, all)): (&str, (u32, u32))| {
        (failed > 0 && all > 1).then(|| format!("failed {failed} of {all} times: {what}\n"))
    };
    counts.into_iter().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::super::plan::Work;
    use super::super::schedule::Place;
    use super::*;

    #[test]
    fn the_slowest_come_first_and_failures_are_counted() {
        let times = Times::default();
        let add = |name: &str, what: &str, seconds, failed| {
            let (name, what) = (name.to_owned(), what.to_owned());
            let work = Work::Step(&xtask::check::STEPS[0]);
            let planned = Planned { name, what, place: Place::Sources, work };
            times.add(&planned, Duration::from_secs(seconds), failed);
        };
        add("a (1 of 2)", "a", 1, true);
        add("a (2 of 2)", "a", 3, false);
        add("b", "b", 2, true);
        let expected = "slowest:\n    3.0 s  a (2 of 2)\n    2.0 s  b\n    1.0 s  a (1 of 2)\n\
                        failed 1 of 2 times: a\n";
        assert_eq!(times.summary(), expected);
    }
}
