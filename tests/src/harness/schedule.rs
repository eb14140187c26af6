//! The order of trials: each waits for its place, and for a core.
//!
//! There are never more checks under way, nor more guests switched on, than cores. A guest boots once for
//! many checks; checks that could disturb each other run in one place, one after the other.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use xtask::KernelVersion;

/// A place for trials. There is one of each, except guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The source code: lints, and tests without a kernel.
    Sources,
    /// This machine's kernel.
    Host,
    /// A guest with that kernel.
    Guest(KernelVersion),
}

/// The number of waiting checks that justifies another guest of their kernel.
const WORTH_A_BOOT: usize = 6;

/// Gives each trial its turn. `G` is a running guest.
pub struct Schedule<G> {
    state: Mutex<State<G>>,
    changed: Condvar,
}

impl<G> Schedule<G> {
    /// A schedule for `cores` cores, and the places of all trials by number; lower numbers come first.
    pub fn new(cores: usize, places: impl IntoIterator<Item = Place>) -> Self {
        let waiting = places.into_iter().enumerate().collect();
        let mut state =
            State { cores, waiting, busy: Vec::new(), idle: Vec::new(), turns: BTreeMap::new() };
        state.hand_out();
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Waits for the turn of a number.
    pub fn turn(&self, number: usize) -> Turn<'_, G> {
        let mut state = self.lock();
        loop {
            if let Some((place, guest)) = state.turns.remove(&number) {
                return Turn { schedule: self, place, guest };
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn done(&self, place: Place, guest: Option<G>) {
        let mut state = self.lock();
        state.done(place, guest);
        state.hand_out();
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<G>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A core and a place, held until this is dropped.
pub struct Turn<'a, G> {
    schedule: &'a Schedule<G>,
    place: Place,
    /// An idle guest of the kernel, if there is one. A guest left here at the end is reused.
    pub guest: Option<G>,
}

impl<G> Drop for Turn<'_, G> {
    fn drop(&mut self) {
        self.schedule.done(self.place, self.guest.take());
    }
}

struct State<G> {
    cores: usize,
    waiting: BTreeMap<usize, Place>,
    /// The places in use.
    busy: Vec<Place>,
    /// Idle guests.
    idle: Vec<(KernelVersion, G)>,
    /// The turns granted, each with the guest to use.
    turns: BTreeMap<usize, (Place, Option<G>)>,
}

impl<G> State<G> {
    fn hand_out(&mut self) {
        while self.busy.len() < self.cores
            && let Some((number, guest)) = self.next()
        {
            if let Some(place) = self.waiting.remove(&number) {
                self.busy.push(place);
                self.turns.insert(number, (place, guest));
            }
        }
    }

    fn done(&mut self, place: Place, guest: Option<G>) {
        if let Some(position) = self.busy.iter().position(|busy| *busy == place) {
            self.busy.swap_remove(position);
        }
        if let (Place::Guest(kernel), Some(guest)) = (place, guest) {
            self.idle.push((kernel, guest));
        }
    }

    /// Trials without a guest come first: they take one core while guests have the others.
    fn next(&mut self) -> Option<(usize, Option<G>)> {
        self.without_guest().or_else(|| self.in_idle_guest()).or_else(|| self.in_new_guest())
    }

    /// The sources, then the host, one at a time each: compilers take all cores, and a tracer that shares
    /// them with its program and a compiler may not keep up.
    fn without_guest(&self) -> Option<(usize, Option<G>)> {
        let is_alone = |place| [Place::Sources, Place::Host].contains(&place);
        let sources = self.first(|place| place == Place::Sources);
        let number = sources.or_else(|| self.first(|place| place == Place::Host))?;
        (!self.busy.iter().any(|place| is_alone(*place))).then_some((number, None))
    }

    fn first(&self, wanted: impl Fn(Place) -> bool) -> Option<usize> {
        self.waiting.iter().find(|(_, place)| wanted(**place)).map(|(number, _)| *number)
    }

    fn in_idle_guest(&mut self) -> Option<(usize, Option<G>)> {
        let has_idle =
            |kernel: KernelVersion| self.idle.iter().position(|(other, _)| *other == kernel);
        let (number, position) = self.waiting.iter().find_map(|(number, place)| match place {
            Place::Guest(kernel) => Some((*number, has_idle(*kernel)?)),
            _ => None,
        })?;
        Some((number, Some(self.idle.swap_remove(position).1)))
    }

    /// A new guest for a kernel without one, or with more checks than its guests finish soon. Called when
    /// no trial needs an idle guest: one is switched off if there would be too many.
    fn in_new_guest(&mut self) -> Option<(usize, Option<G>)> {
        let number = self.first(|place| {
            let wanting = self.waiting.values().filter(|other| **other == place).count();
            let is_guest = matches!(place, Place::Guest(_));
            is_guest && (wanting >= WORTH_A_BOOT || !self.busy.contains(&place))
        })?;
        let busy = self.busy.iter().filter(|place| matches!(place, Place::Guest(_))).count();
        self.idle.truncate(self.cores.saturating_sub(busy + 1));
        Some((number, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Place = Place::Guest(KernelVersion::USUAL);
    const OLD: Place = Place::Guest(KernelVersion::Series(6, 1));

    fn schedule(places: &[Place]) -> Schedule<&'static str> {
        Schedule::new(2, places.iter().copied())
    }

    /// The turns granted, and their guests.
    fn turns(schedule: &Schedule<&'static str>) -> Vec<(usize, Option<&'static str>)> {
        let turns = std::mem::take(&mut schedule.lock().turns);
        turns.into_iter().map(|(number, (_, guest))| (number, guest)).collect()
    }

    #[test]
    fn the_host_and_a_guest_have_a_core_each() {
        let schedule = schedule(&[NEW, NEW, Place::Host, Place::Host]);
        assert_eq!(turns(&schedule), [(0, None), (2, None)]);
        schedule.done(Place::Host, None);
        assert_eq!(turns(&schedule), [(3, None)]);
        schedule.done(Place::Host, None);
        // One more check does not justify another guest: it waits for the running one.
        assert_eq!(turns(&schedule), []);
        schedule.done(NEW, Some("first"));
        assert_eq!(turns(&schedule), [(1, Some("first"))]);
    }

    #[test]
    fn the_host_waits_until_no_compiler_runs() {
        let schedule = schedule(&[Place::Host, Place::Sources, NEW]);
        assert_eq!(turns(&schedule), [(1, None), (2, None)]);
        schedule.done(NEW, None);
        assert_eq!(turns(&schedule), []);
        schedule.done(Place::Sources, None);
        assert_eq!(turns(&schedule), [(0, None)]);
    }

    #[test]
    fn many_checks_are_worth_two_guests() {
        let schedule = schedule(&[NEW; 8]);
        assert_eq!(turns(&schedule), [(0, None), (1, None)]);
    }

    #[test]
    fn a_guest_that_nobody_wants_makes_room() {
        let schedule = schedule(&[NEW, OLD, OLD]);
        assert_eq!(turns(&schedule), [(0, None), (1, None)]);
        schedule.done(OLD, Some("old"));
        assert_eq!(turns(&schedule), [(2, Some("old"))]);
        schedule.done(NEW, Some("new"));
        schedule.done(OLD, None);
        assert_eq!(turns(&schedule), []);
        assert_eq!(schedule.lock().idle, [(KernelVersion::USUAL, "new")]);
    }

    #[test]
    fn no_more_guests_than_cores_are_switched_on() {
        let schedule = Schedule::new(1, [NEW, OLD]);
        assert_eq!(turns(&schedule), [(0, None)]);
        schedule.done(NEW, Some("new"));
        assert_eq!(turns(&schedule), [(1, None)]);
        assert_eq!(schedule.lock().idle, []);
    }

    #[test]
    fn a_guest_that_was_lost_is_replaced() {
        let schedule = schedule(&[NEW, NEW]);
        assert_eq!(turns(&schedule), [(0, None)]);
        schedule.done(NEW, None);
        assert_eq!(turns(&schedule), [(1, None)]);
    }
}
