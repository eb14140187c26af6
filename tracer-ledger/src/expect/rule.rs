//! A rule of a user, in one line: `[PROGRAM: ][SOURCE -> DESTINATION: ]MEASURE OP NUMBER`.

use std::{fmt, ops::Range, str::FromStr};

use wildmatch::WildMatch;

use crate::{flows::Kind, ratio};

/// A condition, and the flows it is about: an omitted part matches everything.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// The program of the flows; for `demo`, the strategy.
    pub(super) program: Option<WildMatch>,
    /// The source and the destination.
    pub(super) way: Option<Way>,
    /// The measure to compare.
    pub(super) measure: Measure,
    operator: Operator,
    number: f64,
}

/// The source and the destination.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Way {
    pub(super) source: End,
    pub(super) destination: End,
}

/// The required end of a flow; nothing stands for any.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct End {
    pub(super) kind: Option<Kind>,
    pub(super) name: Option<WildMatch>,
}

/// The measures of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Copies of a byte by the CPU.
    Cpu,
    /// Copies of a byte by devices.
    Dma,
    /// Copies by the CPU and by devices.
    Copies,
    /// Moves by reference per byte.
    ByReference,
    /// Mode switches for each MiB.
    Switches,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    AtMost,
    Below,
    AtLeast,
    Above,
    Equal,
}

impl Rule {
    /// Whether it names a source and a destination.
    pub fn has_way(&self) -> bool {
        self.way.is_some()
    }

    /// The measure to compare.
    pub fn measure(&self) -> Measure {
        self.measure
    }

    /// Whether it holds for this amount, and also with the missing bytes added.
    pub(super) fn holds(&self, amount: u64, missing: u64, payload_bytes: u64) -> bool {
        let value = |amount| self.measure.value(amount, payload_bytes);
        self.allows(value(amount)) && self.allows(value(amount.saturating_add(missing)))
    }

    /// Whether a value satisfies it.
    pub(super) fn allows(&self, value: f64) -> bool {
        self.operator.holds(value, self.number)
    }

    /// `cpu <= 0.01`
    pub(super) fn condition(&self) -> String {
        format!("{} {} {}", self.measure, self.operator, self.number)
    }
}

impl Measure {
    const ALL: [Self; 5] = [Self::Cpu, Self::Dma, Self::Copies, Self::ByReference, Self::Switches];

    /// Whether it counts bytes that moved, some of which may be unseen.
    pub fn is_of_bytes(self) -> bool {
        self != Self::Switches
    }

    /// The value for an amount, and the bytes of payload.
    pub(super) fn value(self, amount: u64, payload_bytes: u64) -> f64 {
        let unit = if self.is_of_bytes() { 1 } else { 1 << 20 };
        ratio(amount, payload_bytes) * f64::from(unit)
    }
}

impl Operator {
    const ALL: [(&str, Self); 5] = [
        ("<=", Self::AtMost),
        ("<", Self::Below),
        (">=", Self::AtLeast),
        (">", Self::Above),
        ("==", Self::Equal),
    ];

    fn holds(self, value: f64, number: f64) -> bool {
        match self {
            Self::AtMost => value <= number,
            Self::Below => value < number,
            Self::AtLeast => value >= number,
            Self::Above => value > number,
            Self::Equal => value == number,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(program) = &self.program {
            write!(f, "{program}: ")?;
        }
        if let Some(Way { source, destination }) = &self.way {
            write!(f, "{source} -> {destination}: ")?;
        }
        f.write_str(&self.condition())
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Some(kind) => kind.fmt(f)?,
            None => f.write_str(ANY)?,
        }
        self.name.as_ref().map_or(Ok(()), |name| write!(f, ":{name}"))
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Dma => "dma",
            Self::Copies => "copies",
            Self::ByReference => "by_reference",
            Self::Switches => "switches",
        })
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = Self::ALL.iter().find(|(_, operator)| operator == self);
        f.write_str(sign.map_or("", |(sign, _)| sign))
    }
}

/// The reason why a text is not a rule, and the position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mistake {
    text: String,
    at: Range<usize>,
    what: String,
}

/// The text in a line, and the mistake marked below it.
impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, at, what } = self;
        let columns = |range: Range<usize>| text[range].chars().count();
        let in_one_line: String =
            text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect();
        writeln!(f, "{what}")?;
        writeln!(f, "    {in_one_line}")?;
        let (before, marks) = (columns(0..at.start), columns(at.clone()).max(1));
        write!(f, "    {:before$}{}", "", "^".repeat(marks))
    }
}

/// The wrong part of a text, and the reason.
struct Wrong<'a> {
    part: &'a str,
    what: String,
}

fn wrong<T>(part: &str, what: impl Into<String>) -> Result<T, Wrong<'_>> {
    Err(Wrong { part, what: what.into() })
}

impl FromStr for Rule {
    type Err = Mistake;

    fn from_str(text: &str) -> Result<Self, Mistake> {
        rule(text).map_err(|Wrong { part, what }| {
            // Each part is a slice of the text.
            let start = part.as_ptr().addr().saturating_sub(text.as_ptr().addr());
            Mistake { text: text.to_owned(), at: start..start + part.len(), what }
        })
    }
}

/// The wildcard for any kind.
const ANY: &str = "*";

/// The separators between a source and a destination.
const ARROWS: [&str; 2] = ["->", "→"];

fn rule(text: &str) -> Result<Rule, Wrong<'_>> {
    let (about, condition) = match text.rsplit_once(':') {
        Some((about, condition)) => (Some(about), condition),
        None => (None, text),
    };
    if ARROWS.iter().any(|arrow| condition.contains(arrow)) {
        return wrong(condition.trim(), "after the destination comes `: cpu <= 0.01` or the like");
    }
    let (program, way) = about.map_or(Ok((None, None)), subject)?;
    let (measure, operator, number) = compared(condition.trim())?;
    Ok(Rule { program, way, measure, operator, number })
}

/// The program, and the ends of the flows.
fn subject(text: &str) -> Result<(Option<WildMatch>, Option<Way>), Wrong<'_>> {
    let text = text.trim();
    let mut arrows: Vec<_> = ARROWS.iter().flat_map(|arrow| text.match_indices(arrow)).collect();
    arrows.sort_unstable();
    match arrows[..] {
        [] if after_name(text).is_some() => {
            wrong(text, "an arrow is missing: write SOURCE -> DESTINATION")
        }
        [] => Ok((Some(pattern(text, NO_PROGRAM)?), None)),
        [(at, arrow)] => {
            let (before, destination) = (text[..at].trim(), &text[at + arrow.len()..]);
            let (program, source) = match after_name(before) {
                Some((program, source)) => (Some(pattern(program, NO_PROGRAM)?), source),
                None => (None, before),
            };
            Ok((program, Some(Way { source: end(source)?, destination: end(destination)? })))
        }
        [_, (at, arrow), ..] => wrong(
            &text[at..at + arrow.len()],
            "there is one arrow in a rule: write `?` for each character of one in a name",
        ),
    }
}

/// The text before and after the first colon followed by a blank: other colons are in names.
fn after_name(text: &str) -> Option<(&str, &str)> {
    let mut colons = text.match_indices(':');
    let (at, _) = colons.find(|(at, _)| text[at + 1..].starts_with(char::is_whitespace))?;
    Some((&text[..at], &text[at + 1..]))
}

fn end(text: &str) -> Result<End, Wrong<'_>> {
    let text = text.trim();
    let (kind, name) = match text.split_once(':') {
        Some((kind, name)) => (kind, Some(name)),
        None => (text, None),
    };
    let kind = match kind.trim() {
        ANY => None,
        kind => Some(one_of(
            &Kind::ALL,
            kind,
            "kind",
            " or *; a program's name has a colon and a blank after it",
        )?),
    };
    let name = name.map(|name| pattern(name, NO_NAME)).transpose()?;
    Ok(End { kind, name })
}

const NO_PROGRAM: &str = "there is a colon, and no program's name before it";
const NO_NAME: &str = "there is a colon, and no name after it: leave it out for any name";

fn pattern<'a>(text: &'a str, if_missing: &str) -> Result<WildMatch, Wrong<'a>> {
    match text.trim() {
        "" => wrong(text, if_missing),
        text => Ok(WildMatch::new(text)),
    }
}

fn compared(text: &str) -> Result<(Measure, Operator, f64), Wrong<'_>> {
    let is_sign = |it: char| "<>=!≤≥".contains(it);
    let Some(start) = text.find(is_sign) else {
        return wrong(text, "a condition is missing, such as `cpu <= 0.01`");
    };
    let signs = &text[start..];
    let (sign, number) = signs.split_at(signs.find(|it| !is_sign(it)).unwrap_or(signs.len()));
    let measure = one_of(&Measure::ALL, text[..start].trim(), "measure", "")?;
    let Some((_, operator)) = Operator::ALL.iter().find(|(name, _)| *name == sign) else {
        let names = Operator::ALL.map(|(sign, _)| sign).join(", ");
        return wrong(sign, format!("`{sign}` compares nothing: give one of {names}"));
    };
    Ok((measure, *operator, decimal(number.trim())?))
}

fn decimal(text: &str) -> Result<f64, Wrong<'_>> {
    let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match text.parse::<f64>() {
        Ok(number) if is_decimal && number.is_finite() => Ok(number),
        _ => wrong(text, format!("{}: give one such as 0.01", is_no(text, "number"))),
    }
}

/// A value of a type by its name. `also`: other permitted values.
fn one_of<'a, T: Copy + fmt::Display>(
    all: &[T],
    text: &'a str,
    what: &str,
    also: &str,
) -> Result<T, Wrong<'a>> {
    match all.iter().find(|one| one.to_string() == text) {
        Some(one) => Ok(*one),
        None => {
            let names: Vec<_> = all.iter().map(T::to_string).collect();
            wrong(text, format!("{}: give one of {}{also}", is_no(text, what), names.join(", ")))
        }
    }
}

fn is_no(text: &str, what: &str) -> String {
    if text.is_empty() { format!("a {what} is missing") } else { format!("`{text}` is no {what}") }
}
