//! Numbers and names as the formats for people write them.

use crate::{
    Provenance,
    claims::{Judgement, Quantity, Verdict},
};

/// Stands for a number that unseen bytes leave open.
pub(crate) const UNSEEN: &str = "unseen";

/// The number of witnesses of a movement that are named; the others are counted.
const NAMED_WITNESSES: usize = 2;

/// The sign of a verdict.
pub(crate) fn mark(verdict: Verdict) -> char {
    match verdict {
        Verdict::Confirmed => '✔',
        Verdict::Refined => '≈',
        Verdict::Refuted => '✘',
        Verdict::NotMeasurable => '?',
        Verdict::NotTested => '–',
    }
}

/// The measured number; none where it could not be seen.
pub(crate) fn number(judgement: &Judgement) -> Option<String> {
    let number = judgement.measured?;
    let derived = if judgement.provenance == Provenance::Derived { "~" } else { "" };
    let number = if judgement.quantity.is_copies() { copies(number) } else { count(number) };
    Some(format!("{derived}{number}"))
}

/// Copies per payload byte.
pub(crate) fn copies(number: f64) -> String {
    format!("{number:.2}")
}

/// A count a message: exact when it is whole.
pub(crate) fn count(number: f64) -> String {
    if number.fract() == 0.0 { format!("{number}") } else { format!("{number:.3}") }
}

/// A count a message that is not compared with anything.
pub(crate) fn rough(number: f64) -> String {
    if number.fract() == 0.0 { format!("{number}") } else { format!("{number:.2}") }
}

/// A size for people, in the largest unit that leaves a short number: `100 B`, `64 KiB`, `1.5 MiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let power = (bytes.ilog2() / 10).min(UNITS.len() as u32);
    let (unit, number) = (UNITS[power as usize - 1], bytes as f64 / 1024_f64.powi(power as i32));
    let number = format!("{number:.1}");
    format!("{} {unit}", number.strip_suffix(".0").unwrap_or(&number))
}

/// A time of so many ns, to three digits.
pub(crate) fn time(nanoseconds: f64) -> String {
    const UNITS: [(&str, f64); 3] = [("s", 1e9), ("ms", 1e6), ("µs", 1e3)];
    let larger = UNITS.into_iter().find(|(_, scale)| nanoseconds >= scale * 0.9995);
    let Some((unit, scale)) = larger else { return format!("{nanoseconds:.0} ns") };
    let number = nanoseconds / scale;
    let decimals = if number >= 99.95 { 0 } else { 1 + usize::from(number < 9.995) };
    format!("{number:.decimals$} {unit}")
}

/// A number with its thousands apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// The functions of a movement's call sites, and the names of other witnesses.
pub(crate) fn witnesses(witness: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for site in witness.split(", ") {
        let name = site.split_once("+0x").map_or(site, |(function, _)| function);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let more = names.len().saturating_sub(NAMED_WITNESSES);
    names.truncate(NAMED_WITNESSES);
    let named = names.join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}

/// `system calls`, `CPU copies and all copies`
pub(crate) fn quantities(quantities: &[Quantity]) -> String {
    joined(quantities.iter().map(ToString::to_string).collect())
}

/// `a`, `a and b`, `a, b and c`
pub(crate) fn joined(mut names: Vec<String>) -> String {
    let last = names.pop().unwrap_or_default();
    if names.is_empty() { last } else { format!("{} and {last}", names.join(", ")) }
}

/// The warning that comes before everything else.
pub(crate) fn lost(events: u64) -> Option<String> {
    let noun = if events == 1 { "EVENT WAS" } else { "EVENTS WERE" };
    (events > 0).then(|| format!("{events} {noun} LOST: every number here is a lower bound."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        let sizes = [0, 1000, 65536, 100_000, 16 << 20, 3 << 40].map(size);
        assert_eq!(sizes, ["0 B", "1000 B", "64 KiB", "97.7 KiB", "16 MiB", "3 TiB"]);
    }

    #[test]
    fn times_have_three_digits() {
        let times = [0.0, 999.0, 999.6, 12_345.0, 123_456.0, 9.996e6, 61e9].map(time);
        let expected = ["0 ns", "999 ns", "1.00 µs", "12.3 µs", "123 µs", "10.0 ms", "61.0 s"];
        assert_eq!(times, expected);
    }

    #[test]
    fn thousands_are_apart() {
        assert_eq!([0, 999, 1000, 16_777_216].map(grouped), ["0", "999", "1 000", "16 777 216"]);
    }

    #[test]
    fn witnesses_are_named_once_and_few() {
        let sites = "tcp_sendmsg_locked+0x375 → _copy_from_iter, tcp_sendmsg_locked+0x9 → memcpy";
        assert_eq!(witnesses(sites), "tcp_sendmsg_locked");
        assert_eq!(witnesses("block_rq_complete"), "block_rq_complete");
        assert_eq!(witnesses("a+0x1 → x, b+0x2 → x, c+0x3 → x"), "a, b and 1 more");
    }

    #[test]
    fn counts_are_exact_when_they_are_whole() {
        assert_eq!([2.0, 1.0 + 1.0 / 256.0, 1.0002].map(count), ["2", "1.004", "1.000"]);
    }

    #[test]
    fn names_are_joined() {
        let names = |list: &[&str]| joined(list.iter().map(ToString::to_string).collect());
        assert_eq!(names(&[]), "");
        assert_eq!(names(&["a"]), "a");
        assert_eq!(names(&["a", "b", "c"]), "a, b and c");
    }
}
