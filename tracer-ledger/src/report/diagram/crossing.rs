//! The line between user and kernel mode, and where the CPU crosses it: for each call into the kernel and
//! back, numbered in their order. Calls in an unknown order have no numbers.

use super::{
    grid::{Area, Grid},
    parts::WIDTH,
    picture::{Calls, Picture},
    words,
};
use crate::report::text::columns;

/// A crossing of the CPU into the kernel and back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Crossing {
    /// The column of the way in, and of the way back.
    pub(super) begin: usize,
    pub(super) end: usize,
    pub(super) switches: Switches,
    /// Its reason.
    pub(super) name: String,
}

/// Mode switches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Switches {
    /// The numbers of the first and the last.
    Ordered(u64, u64),
    /// Their number, in words.
    Counted(String),
}

/// A crossing to be placed on the line.
#[derive(Clone)]
struct Wanted {
    switches: Switches,
    name: String,
}

/// Columns on either side of the number of a switch, which may be written in three.
const AROUND: usize = 1;

/// The first column for a crossing, so that pictures side by side begin alike.
const FIRST: usize = 13;

/// More calls than this cannot be distinguished at a glance.
const MOST: usize = 8;

/// The crossings on the line at `border`, from left to right, and the lines of text about them.
pub(super) fn crossings(
    picture: &Picture,
    grid: &mut Grid,
    border: usize,
) -> (Vec<Crossing>, Vec<String>) {
    let mut ways = ways(&picture.calls);
    if picture.faults > 0 {
        let name = words::number_of_faults(picture.faults);
        let with_faults = |(wanted, said): &(Vec<Wanted>, Option<String>)| {
            let of_faults = counted(&name, picture.faults);
            (wanted.iter().cloned().chain([of_faults]).collect(), said.clone())
        };
        // If there is no room for both, the calls are drawn.
        ways = ways.iter().map(with_faults).chain(ways.iter().cloned()).collect();
    }
    let mut said = None;
    let placed = ways.into_iter().find_map(|(wanted, words)| {
        said = words;
        place(&wanted, grid, border)
    });
    let placed = placed.unwrap_or_default();
    placed.iter().for_each(|Crossing { begin, end, .. }| grid.take(around(*begin, *end, border)));
    let of_faults = (picture.faults > 0).then(|| words::faults(picture.faults));
    (placed, said.into_iter().chain(of_faults).collect())
}

/// The ways to draw the calls, the best first, each with its line of text.
fn ways(calls: &Calls) -> Vec<(Vec<Wanted>, Option<String>)> {
    let (total, all) = (calls.total(), words::number_of_calls(calls.total()));
    match calls {
        Calls::Ordered(names) if names.is_empty() => {
            vec![(Vec::new(), Some(words::NO_CALLS.to_owned()))]
        }
        Calls::Ordered(names) => {
            let each = each_call(names).filter(|_| names.len() <= MOST).map(|each| (each, None));
            let together =
                Wanted { switches: Switches::Ordered(1, 2 * total), name: format!(" {all} ") };
            each.chain([(vec![together], Some(words::in_order(names)))]).collect()
        }
        Calls::Counted(made) => vec![(vec![counted(&all, total)], Some(words::counted(made)))],
    }
}

/// One for each call, with its name in full or as short as can be.
fn each_call(names: &[String]) -> impl Iterator<Item = Vec<Wanted>> {
    let shorter: [fn(&str) -> String; 3] =
        [|name| format!(" {} ", words::call(name)), words::call, str::to_owned];
    shorter.into_iter().map(|name| {
        let wanted = |(call, index): (&String, u64)| Wanted {
            switches: Switches::Ordered(2 * index + 1, 2 * index + 2),
            name: name(call),
        };
        names.iter().zip(0..).map(wanted).collect()
    })
}

fn counted(name: &str, times: u64) -> Wanted {
    let switches = Switches::Counted(words::number_of_switches(2 * times));
    Wanted { switches, name: format!(" {name} ") }
}

fn around(begin: usize, end: usize, border: usize) -> Area {
    Area { x: begin - AROUND, y: border, width: end + 1 - begin + 2 * AROUND, height: 2 }
}

/// From left to right, between the ways that cross the line, if there is room for all.
fn place(wanted: &[Wanted], grid: &Grid, border: usize) -> Option<Vec<Crossing>> {
    let mut from = FIRST;
    wanted
        .iter()
        .map(|Wanted { switches, name }| {
            let on_line = match switches {
                Switches::Ordered(..) => 0,
                Switches::Counted(text) => columns(text),
            };
            let width = (columns(name) + 2).max(on_line);
            let fits = |begin: &usize| grid.is_crossable(around(*begin, begin + width - 1, border));
            let begin = (from..WIDTH.saturating_sub(width)).find(fits)?;
            let end = begin + width - 1;
            from = end + 2 * (AROUND + 1);
            Some(Crossing { begin, end, switches: switches.clone(), name: name.clone() })
        })
        .collect()
}
