//! The content of a picture of a strategy, without positions: places, arrows between them, system calls
//! in their order as far as it is known, and lines of text for parts that cannot be drawn.

use crate::workload::Route;

use super::{
    parts::{Arrow, Kind, Spot},
    words,
};
use crate::{
    Mover, Place, Provenance, Side,
    claims::{Condition, Judgement, Quantity, TOLERANCE, Verdict},
    report::{
        escape::plain,
        strategies::model::{Measured, MovementRow, Report},
    },
};

/// Movements of less than this of a payload byte are answers and a driver's few header bytes.
pub(in crate::report) const FEW: f64 = 0.005;

/// The quantities of a title.
const TITLE: [Quantity; 4] =
    [Quantity::SystemCalls, Quantity::ModeSwitches, Quantity::CpuCopies, Quantity::DmaCopies];

/// System calls with a pipe of their own inside: `splice_direct_to_actor` in `fs/splice.c`.
const WITH_PIPE: [&str; 3] = ["sendfile", "sendfile64", "copy_file_range"];

/// A number of the title.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) number: String,
    pub(super) noun: &'static str,
    pub(super) documented: Option<String>,
}

/// The system calls. Each takes the CPU into the kernel and back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Calls {
    /// Each, in the order they are made.
    Ordered(Vec<String>),
    /// Their numbers, by name: the order is not known.
    Counted(Vec<(String, u64)>),
}

/// A picture.
#[derive(Clone, Debug)]
pub(in crate::report) struct Picture {
    pub(super) name: String,
    pub(super) route: Route,
    pub(super) counts: Vec<Count>,
    pub(super) verdict: Option<Verdict>,
    /// The verdict in words.
    pub(super) judged: String,
    pub(super) arrows: Vec<Arrow>,
    pub(super) calls: Calls,
    /// Page faults in user mode, each of which takes the CPU into the kernel and back, too.
    pub(super) faults: u64,
    /// Other lines of text.
    pub(super) lines: Vec<String>,
    /// The whole picture in words.
    pub(super) described: String,
}

impl Picture {
    pub(super) fn of(measured: &Measured, report: &Report) -> Self {
        let (mut lines, messages) = (Vec::new(), report.payload.messages as f64);
        let route = measured.route;
        let mut arrows = arrows(measured, &mut lines);
        lead_through(Spot::Pipe, route, &mut arrows, &mut lines);
        lead_through(Spot::Kernel, route, &mut arrows, &mut lines);
        let unseen = unseen(measured, report, &arrows, &mut lines);
        arrows.extend(unseen);
        lines.extend(sources(measured));
        let counts: Vec<Count> =
            TITLE.iter().filter_map(|quantity| measured.judged(*quantity)).map(Count::of).collect();
        let verdict = measured.worst(|_| true);
        let numbers: Vec<_> = counts.iter().map(Count::text).collect();
        let in_words = arrows.iter().map(|arrow| words::arrow(arrow, route)).collect();
        Self {
            name: plain(&measured.name).into_owned(),
            route,
            verdict,
            judged: words::verdict(verdict, &measured.difference()),
            described: words::description(measured, &numbers.join(", "), in_words),
            counts,
            arrows,
            calls: Calls::of(measured),
            faults: (measured.per_message.page_faults_user * messages).round() as u64,
            lines,
        }
    }

    /// Whether bytes were at a place at any time.
    pub(super) fn uses(&self, spot: Spot) -> bool {
        self.arrows.iter().any(|arrow| arrow.from == spot || arrow.to == spot)
    }

    /// Whether the place is shown. The textbook's places on a way to or from a socket are shown even if
    /// no byte was there: the picture shows that they are bypassed.
    pub(super) fn shows(&self, spot: Spot) -> bool {
        const TEXTBOOK: [Spot; 5] =
            [Spot::Disk, Spot::PageCache, Spot::User, Spot::Socket, Spot::Nic];
        self.uses(spot) || (self.route.has_consumer() && TEXTBOOK.contains(&spot))
    }
}

impl Count {
    fn of(judged: &Judgement) -> Self {
        let number = |number: f64| {
            let whole = number.round();
            if (number - whole).abs() < FEW { format!("{whole}") } else { format!("{number:.2}") }
        };
        let derived = match judged.provenance {
            Provenance::Derived => words::DERIVED,
            Provenance::Measured => "",
        };
        let shown = judged.measured.map(number);
        Self {
            noun: words::noun(judged.quantity, shown.as_deref() == Some("1")),
            number: shown.map_or(words::OPEN.to_owned(), |number| format!("{derived}{number}")),
            documented: judged.documented.map(number),
        }
    }

    /// `2 CPU copies`
    pub(super) fn text(&self) -> String {
        format!("{} {}", self.number, self.noun)
    }
}

impl Calls {
    /// In the strategy's order, if exactly its calls were counted.
    fn of(measured: &Measured) -> Self {
        let made: Vec<(String, u64)> = measured
            .syscalls
            .iter()
            .filter(|(_, made)| **made > 0)
            .map(|(name, made)| (plain(name).into_owned(), *made))
            .collect();
        if let [(name, times)] = made.as_slice() {
            return Self::Ordered(vec![name.clone(); *times as usize]);
        }
        let known = &measured.call_order;
        let is_all = made.iter().all(|(name, times)| {
            known.iter().filter(|known| *known == name).count() as u64 == *times
        });
        let sum: u64 = made.iter().map(|(_, times)| times).sum();
        if is_all && sum == known.len() as u64 {
            return Self::Ordered(known.clone());
        }
        if made.is_empty() { Self::Ordered(Vec::new()) } else { Self::Counted(made) }
    }

    pub(super) fn total(&self) -> u64 {
        match self {
            Self::Ordered(names) => names.len() as u64,
            Self::Counted(made) => made.iter().map(|(_, times)| times).sum(),
        }
    }
}

/// The observed movements, as arrows; as text if they are not a part of the picture.
fn arrows(measured: &Measured, lines: &mut Vec<String>) -> Vec<Arrow> {
    let is_between_processes = measured.route == Route::ProcessToProcess;
    let (mut drawn, mut few, mut others) = (Vec::new(), Vec::new(), Vec::new());
    for movement in &measured.movements {
        let is_shown = movement.side == measured.side || is_between_processes;
        let own_pipe = pipe_inside(measured, movement);
        match own_pipe {
            Some(call) if is_shown => lines.push(words::inside(call, movement)),
            _ if !is_shown => others.push(movement),
            _ if movement.per_payload_byte < FEW => few.push(movement),
            _ => drawn.push(movement),
        }
    }
    if !few.is_empty() {
        lines.push(words::few(&few));
    }
    if let Some(other) = others.first() {
        lines.push(words::of_other_side(other.side, &others));
    }
    let mut arrows: Vec<Arrow> = Vec::new();
    for movement in drawn {
        let arrow = Arrow::of(movement, measured);
        let is_same =
            |other: &&mut Arrow| Arrow { bytes: arrow.bytes, ..(**other).clone() } == arrow;
        match arrows.iter_mut().find(is_same) {
            Some(same) => same.bytes = Some(same.bytes.unwrap_or(0) + arrow.bytes.unwrap_or(0)),
            None => arrows.push(arrow),
        }
    }
    arrows
}

/// The call that has a pipe of its own, if it is that pipe where the movement ends.
fn pipe_inside<'a>(measured: &'a Measured, movement: &MovementRow) -> Option<&'a str> {
    let mut calls = measured.syscalls.keys().map(String::as_str);
    let call = calls.find(|name| WITH_PIPE.contains(name))?;
    let leaves = measured.movements.iter().any(|other| other.from == Place::Pipe);
    (movement.to == Place::Pipe && movement.by == Mover::Reference && !leaves).then_some(call)
}

impl Arrow {
    fn of(movement: &MovementRow, measured: &Measured) -> Self {
        let (from, to) = spots(movement, measured.route);
        Self {
            from,
            to,
            kind: Kind::Moved(movement.by),
            bytes: Some(movement.bytes),
            is_derived: movement.provenance == Provenance::Derived,
        }
    }

    fn unseen(from: Spot, to: Spot, bytes: Option<u64>) -> Self {
        Self { from, to, kind: Kind::Unseen, bytes, is_derived: false }
    }
}

/// The spots at which a movement begins and ends, where there are two of a kind.
fn spots(movement: &MovementRow, route: Route) -> (Spot, Spot) {
    let (from, to) = (Spot::of(movement.from), Spot::of(movement.to));
    if from == to {
        return (from, to.second());
    }
    match (route, movement.from, movement.to, movement.by) {
        (Route::ProcessToProcess, _, Place::User, _) => (from, Spot::SecondUser),
        (Route::ProcessToProcess, Place::User, ..) if movement.side == Side::Receiver => {
            (Spot::SecondUser, to)
        }
        (Route::FileToFile, Place::PageCache, Place::Disk, _) => {
            (Spot::SecondPageCache, Spot::SecondDisk)
        }
        (Route::FileToFile, _, Place::PageCache, Mover::Cpu | Mover::Reference | Mover::Cipher) => {
            (from, Spot::SecondPageCache)
        }
        _ => (from, to),
    }
}

/// Lets arrows begin at a place that bytes were seen to enter, but not to leave. A pipe holds pages of
/// the page cache, and a page taken from the pipe is seen as taken from the page cache; a packet that was
/// made linear is the one that the device reads.
fn lead_through(between: Spot, route: Route, arrows: &mut [Arrow], lines: &mut Vec<String>) {
    if arrows.iter().any(|arrow| arrow.from == between) {
        return;
    }
    let into: Vec<Arrow> = arrows.iter().filter(|arrow| arrow.to == between).cloned().collect();
    let [into] = into.as_slice() else { return };
    let goes_on = |arrow: &Arrow| {
        arrow.from == into.from
            && arrow.to != between
            && match between {
                Spot::Pipe => {
                    arrow.kind == Kind::Moved(Mover::Reference) && arrow.kind == into.kind
                }
                _ => arrow.to == Spot::Nic && into.kind == Kind::Moved(Mover::Cpu),
            }
            && same(arrow.bytes, into.bytes)
    };
    if let Some(arrow) = arrows.iter_mut().find(|arrow| goes_on(arrow)) {
        arrow.from = between;
        lines.push(words::through(between, route));
    }
}

fn same(one: Option<u64>, other: Option<u64>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return false };
    one.abs_diff(other) as f64 <= TOLERANCE * one.max(other) as f64
}

/// Movements that must have happened, but were not seen.
fn unseen(
    measured: &Measured,
    report: &Report,
    seen: &[Arrow],
    lines: &mut Vec<String>,
) -> Vec<Arrow> {
    let mut arrows = Vec::new();
    if let Ok(bytes @ 1..) = u64::try_from(measured.unaccounted_bytes) {
        let to = match measured.route {
            Route::FileToSocket | Route::MemoryToSocket | Route::Datagrams => Spot::Socket,
            Route::FileToFile => Spot::SecondPageCache,
            Route::ProcessToProcess => Spot::SecondUser,
            Route::Receive => Spot::User,
        };
        arrows.push(Arrow::unseen(Spot::Unseen, to, Some(bytes)));
        lines.push(words::unseen(bytes, measured.route, report.environment.tier));
    }
    let Some(dma) = measured.judged(Quantity::DmaCopies).filter(|dma| dma.measured.is_none())
    else {
        return arrows;
    };
    if measured.route == Route::Receive {
        arrows.push(Arrow::unseen(Spot::Nic, Spot::Socket, None));
        lines.push(words::FROM_NIC.to_owned());
        return arrows;
    }
    let conditions = report.environment.conditions();
    let is = |condition: Condition| conditions.contains(&condition);
    if !is(Condition::WarmCache) && !seen.iter().any(|arrow| arrow.from == Spot::Disk) {
        arrows.push(Arrow::unseen(Spot::Disk, Spot::PageCache, None));
    }
    let has_nic = !is(Condition::Loopback) && !is(Condition::VirtualNic);
    if has_nic && !seen.iter().any(|arrow| arrow.to == Spot::Nic) {
        arrows.push(Arrow::unseen(Spot::Socket, Spot::Nic, None));
    }
    lines.push(words::unseen_dma(&dma.reasons));
    arrows
}

/// The sources of the derived numbers, each once.
fn sources(measured: &Measured) -> Option<String> {
    let mut sources: Vec<String> = Vec::new();
    for movement in measured.movements_of(measured.side) {
        let witness = plain(&movement.witness).into_owned();
        if movement.provenance == Provenance::Derived && !sources.contains(&witness) {
            sources.push(witness);
        }
    }
    (!sources.is_empty()).then(|| words::derived(sources))
}
