//! The plan: every check in every place where the table has it.

use xtask::KernelVersion;
use xtask::check::{STEPS, Step};
use xtask::test::Selection;

use super::schedule::Place;
use crate::check::{Check, Tier};
use crate::pages::{PAGES, Page};
use crate::table::{MAIN_KERNEL, OTHER_KERNELS, ROWS, Row, WHOLE_WITH_ALL};

/// The work of a trial.
#[derive(Clone, Copy)]
pub enum Work {
    /// A step of `cargo xtask check`.
    Step(&'static Step),
    /// A check of the built command, in one tier.
    Check(&'static Check, Tier),
    /// A page's content for one tier.
    Page(&'static Page, Tier),
}

/// One planned trial.
#[derive(Clone)]
pub struct Planned {
    /// Its name: the place and the condition.
    pub name: String,
    /// Its name without the repetition's number.
    pub what: String,
    /// Its place.
    pub place: Place,
    /// Its work.
    pub work: Work,
}

/// All trials, and the selected ones.
pub struct Plan {
    /// The selected trials.
    pub wanted: Vec<Planned>,
    /// The names of the others.
    pub others: Vec<String>,
}

impl Plan {
    /// All trials, of which those that match are selected.
    pub fn new(selection: &Selection) -> Self {
        let pages = selection.write_docs.then(pages).into_iter().flatten();
        let all = steps(selection).chain(checks(selection.all)).chain(pages);
        let (wanted, others): (Vec<_>, Vec<_>) = all.partition(|it| selection.wants(&it.name));
        let times = selection.repeat.unwrap_or(1);
        let wanted = (1..=times).flat_map(|time| wanted.iter().map(move |it| it.nth(time, times)));
        Self {
            wanted: wanted.collect(),
            others: others.into_iter().map(|planned| planned.name).collect(),
        }
    }
}

impl Planned {
    fn check(place: Place, check: &'static Check, tier: Tier) -> Self {
        Self::in_tier(place, tier, check.name, Work::Check(check, tier))
    }

    fn page(place: Place, page: &'static Page, tier: Tier) -> Self {
        Self::in_tier(place, tier, page.name, Work::Page(page, tier))
    }

    fn in_tier(place: Place, tier: Tier, name: &str, work: Work) -> Self {
        let place_name = match place {
            Place::Guest(kernel) => kernel.to_string(),
            _ => "host".to_owned(),
        };
        let name = format!("{place_name} {}: {name}", tier.name());
        Self { what: name.clone(), name, place, work }
    }

    fn nth(&self, time: u32, times: u32) -> Self {
        let mut planned = self.clone();
        if times > 1 {
            planned.name = format!("{} ({time} of {times})", self.what);
        }
        planned
    }
}

/// The steps of `cargo xtask check`, once each.
fn steps(selection: &Selection) -> impl Iterator<Item = Planned> {
    let everything = selection.filters.is_empty() && selection.repeat.is_none();
    let steps = if everything { &STEPS[..] } else { &[] };
    steps.iter().map(|step| Planned {
        name: step.name.to_owned(),
        what: step.name.to_owned(),
        place: Place::Sources,
        work: Work::Step(step),
    })
}

fn checks(all: bool) -> impl Iterator<Item = Planned> {
    let host = in_place(Place::Host, |row| row.host);
    let main = in_place(Place::Guest(MAIN_KERNEL), |row| row.guests);
    let others = OTHER_KERNELS.into_iter().flat_map(move |kernel: KernelVersion| {
        let is_whole = all && kernel == WHOLE_WITH_ALL;
        let tiers = move |row: &Row| if is_whole { row.guests } else { row.others };
        in_place(Place::Guest(kernel), tiers)
    });
    host.chain(main).chain(others)
}

/// The trials that print pages, for each tier on each kernel.
fn pages() -> impl Iterator<Item = Planned> {
    let places = PAGES.iter().flat_map(|page| page.places().map(move |place| (page, place)));
    places.map(|(page, (kernel, tier))| Planned::page(Place::Guest(kernel), page, tier))
}

fn in_place(
    place: Place,
    tiers: impl Fn(&Row) -> &'static [Tier],
) -> impl Iterator<Item = Planned> {
    let rows = ROWS.iter().map(move |row| (row, tiers(row)));
    rows.flat_map(move |(row, tiers)| {
        let each = move |check| tiers.iter().map(move |tier| Planned::check(place, check, *tier));
        row.checks.iter().flat_map(each)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(all: bool, exact: bool, filters: &[&str]) -> Plan {
        let filters = filters.iter().map(|filter| (*filter).to_owned()).collect();
        Plan::new(&Selection { all, exact, filters, ..Selection::default() })
    }

    #[test]
    fn any_of_several_filters_may_match() {
        let all = plan(true, false, &[]);
        let some = plan(true, false, &["nginx", "6.1 kprobe: dd"]);
        assert!(some.wanted.iter().any(|it| it.name == "6.1 kprobe: dd: two copies per byte"));
        assert!(some.wanted.iter().any(|it| it.name.starts_with("host tracepoint: nginx, TLS")));
        let checks = all.wanted.iter().filter(|it| matches!(it.work, Work::Check(..)));
        assert_eq!(some.wanted.len() + some.others.len(), checks.count());
    }

    #[test]
    fn an_exact_filter_is_a_whole_name() {
        let name = "6.12 fentry: cold cache, NIC: the documents’ copies";
        assert_eq!(plan(false, true, &[name]).wanted.len(), 1);
        assert_eq!(plan(false, true, &["cold cache"]).wanted.len(), 0);
    }

    #[test]
    fn every_check_is_made_somewhere_without_all() {
        let wanted = plan(false, false, &[]).wanted;
        for check in ROWS.iter().flat_map(|row| row.checks) {
            let is_made =
                |it: &Planned| matches!(it.work, Work::Check(made, _) if made.name == check.name);
            assert!(wanted.iter().any(is_made), "{}", check.name);
        }
    }

    #[test]
    fn pages_are_measured_on_every_kernel_when_they_are_written() {
        let filters = vec!["matrix".to_owned()];
        let selection = Selection { write_docs: true, filters, ..Selection::default() };
        let wanted = Plan::new(&selection).wanted;
        assert_eq!(wanted.len(), PAGES.iter().map(|page| page.places().count()).sum::<usize>());
        assert!(wanted.iter().any(|it| it.name.starts_with("newest tracepoint: matrix")));
        assert!(Plan::new(&Selection { write_docs: false, ..selection }).wanted.is_empty());
    }

    #[test]
    fn what_is_repeated_has_a_name_each_time() {
        let filters = vec!["dd:".to_owned()];
        let plan = Plan::new(&Selection { repeat: Some(3), filters, ..Selection::default() });
        let mut names: Vec<_> = plan.wanted.iter().map(|it| &it.name).collect();
        let all = names.len();
        names.dedup();
        assert_eq!((names.len(), all % 3), (all, 0));
        assert!(names[0].ends_with("(1 of 3)"), "{}", names[0]);
    }
}
