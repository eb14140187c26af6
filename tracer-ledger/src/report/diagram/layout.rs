//! The layout of a picture. The places are always the same, whatever moves between them, so that pictures
//! can be compared side by side. Arrows take the best free way; those without room become lines of text.
//! Every writer draws this layout, in cells of its own size.

use crate::workload::Route;

use super::{
    crossing::{self, Crossing},
    grid::{Area, Cell, Grid, Heading, Way},
    parts::{Arrow, Kind, Spot, WIDTH, Zone},
    picture::Picture,
    words,
};
use crate::report::text::columns;

/// Where a picture's parts are.
#[derive(Clone, Debug)]
pub(in crate::report) struct Layout {
    pub(super) height: usize,
    /// The line between user and kernel mode, and the one between the kernel and devices.
    pub(super) rules: [usize; 2],
    pub(super) zones: [(Zone, Cell); 3],
    pub(super) boxes: Vec<Box>,
    pub(super) drawn: Vec<Drawn>,
    pub(super) crossings: Vec<Crossing>,
    /// Lines of text below the picture, for parts that found no room.
    pub(super) lines: Vec<String>,
}

/// A place.
#[derive(Clone, Debug)]
pub(super) struct Box {
    pub(super) area: Area,
    pub(super) name: &'static str,
    /// Whether there are bytes at any time.
    pub(super) is_used: bool,
    /// Whether it has a frame: an unknown place has none.
    pub(super) is_framed: bool,
}

/// An arrow.
#[derive(Clone, Debug)]
pub(super) struct Drawn {
    pub(super) kind: Kind,
    pub(super) way: Way,
    pub(super) label: Text,
}

/// A text in one line, from a cell to the right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) at: Cell,
    pub(super) text: String,
}

/// Rows of a picture: with one row of places in the kernel, or with a second one below it.
#[derive(Clone, Copy, Debug)]
struct Rows {
    is_tall: bool,
}

impl Rows {
    const USER: usize = 0;
    const BORDER: usize = 4;
    const CALLS: usize = Self::BORDER + 1;
    const KERNEL: usize = 7;
    const SECOND_KERNEL: usize = 11;

    fn device_border(self) -> usize {
        if self.is_tall { 15 } else { 11 }
    }

    fn devices(self) -> usize {
        self.device_border() + 2
    }

    fn height(self) -> usize {
        self.devices() + BOX
    }
}

/// Rows of a place.
const BOX: usize = 3;

/// Whether a place is in the second row of the kernel, which is there only where it is used.
fn is_in_second_row(spot: Spot) -> bool {
    matches!(spot, Spot::Kernel | Spot::SecondPageCache)
}

/// The area of a place.
fn area(spot: Spot, picture: &Picture, rows: Rows) -> Area {
    let (x, width) = match spot {
        Spot::Disk | Spot::PageCache => (3, 14),
        // Of two processes, the sender is to the left.
        Spot::User if picture.route == Route::ProcessToProcess => (8, 12),
        Spot::User => (26, 15),
        Spot::Pipe => (29, 9),
        Spot::Kernel | Spot::SecondDisk => (25, 17),
        // It has no place of its own: it is drawn where there is room.
        Spot::Unseen if picture.uses(Spot::Pipe) => (39, 3),
        Spot::Unseen => (31, 3),
        Spot::Socket | Spot::Nic | Spot::SecondUser => (47, 17),
        Spot::SecondPageCache => (46, 18),
    };
    let y = match spot {
        _ if is_in_second_row(spot) => Rows::SECOND_KERNEL,
        _ => match spot.zone() {
            Zone::User => Rows::USER,
            Zone::Kernel => Rows::KERNEL,
            Zone::Devices => rows.devices(),
        },
    };
    Area { x, y, width, height: BOX }
}

/// Whether pictures that are shown together need the second row.
pub(super) fn is_tall(pictures: &[Picture]) -> bool {
    let needs =
        |picture: &Picture| Spot::ALL.iter().any(|it| is_in_second_row(*it) && picture.uses(*it));
    pictures.iter().any(needs)
}

impl Layout {
    pub(super) fn of(picture: &Picture, is_tall: bool) -> Self {
        let rows = Rows { is_tall };
        let rules = [Rows::BORDER, rows.device_border()];
        let mut grid = Grid::new(WIDTH, rows.height());
        rules.iter().chain([&Rows::CALLS]).for_each(|y| grid.cross_only(*y));
        let zones = [(Zone::User, 0), (Zone::Kernel, Rows::CALLS), (Zone::Devices, rules[1] + 1)]
            .map(|(zone, y)| (zone, Cell { x: 1, y }));
        for (zone, Cell { x, y }) in zones {
            grid.take(Area { x: x - 1, y, width: words::zone(zone).len() + 2, height: 1 });
        }
        let boxes: Vec<Box> = Spot::ALL
            .into_iter()
            .filter(|spot| picture.shows(*spot))
            .map(|spot| Box {
                area: area(spot, picture, rows),
                name: words::spot(spot, picture.route),
                is_used: picture.uses(spot),
                is_framed: picture.uses(spot) && spot != Spot::Unseen,
            })
            .collect();
        boxes.iter().for_each(|it| grid.take(it.area));
        let (mut drawn, mut left) = (Vec::new(), Vec::new());
        for (arrow, way) in ways(picture, rows, &mut grid) {
            match way {
                Some(way) => drawn.push((arrow, way)),
                None => left.push(words::arrow(arrow, picture.route)),
            }
        }
        let (crossings, mut lines) = crossing::crossings(picture, &mut grid, Rows::BORDER);
        let mut labelled = Vec::new();
        for (arrow, way) in drawn {
            match label(arrow, &way, &mut grid) {
                Some(label) => labelled.push(Drawn { kind: arrow.kind, way, label }),
                None => left.push(words::arrow(arrow, picture.route)),
            }
        }
        if !left.is_empty() {
            lines.push(words::not_drawn(&left));
        }
        Self { height: rows.height(), rules, zones, boxes, drawn: labelled, crossings, lines }
    }

    /// The part of the machine that a row is in.
    pub(super) fn zone_at(&self, y: usize) -> Zone {
        match self.rules {
            [border, _] if y <= border => Zone::User,
            [_, border] if y <= border => Zone::Kernel,
            _ => Zone::Devices,
        }
    }
}

/// The way of each arrow, if there is one. Those that can be straight come first, then the shortest.
fn ways<'a>(picture: &'a Picture, rows: Rows, grid: &mut Grid) -> Vec<(&'a Arrow, Option<Way>)> {
    let mut arrows: Vec<(usize, &Arrow)> = picture.arrows.iter().enumerate().collect();
    let distance = |arrow: &Arrow| {
        let (from, to) =
            (area(arrow.from, picture, rows).center(), area(arrow.to, picture, rows).center());
        from.x.abs_diff(to.x) + from.y.abs_diff(to.y)
    };
    let is_bent = |arrow: &Arrow| {
        let (from, to) =
            (area(arrow.from, picture, rows).center(), area(arrow.to, picture, rows).center());
        from.x != to.x && from.y != to.y
    };
    arrows.sort_by_key(|(index, arrow)| (is_bent(arrow), distance(arrow), *index));
    let mut ways: Vec<_> = arrows
        .into_iter()
        .map(|(index, arrow)| {
            let is_elsewhere = arrow.from != arrow.to;
            let (from, to) = (area(arrow.from, picture, rows), area(arrow.to, picture, rows));
            (index, arrow, is_elsewhere.then(|| grid.connect(from, to)).flatten())
        })
        .collect();
    ways.sort_by_key(|(index, ..)| *index);
    ways.into_iter().map(|(_, arrow, way)| (arrow, way)).collect()
}

/// The position of an arrow's bytes: in its line, beside it, and cut to the room there is.
fn label(arrow: &Arrow, way: &Way, grid: &mut Grid) -> Option<Text> {
    let straights = way.straights();
    let end = way.end().map(|(cell, _)| cell);
    let found = words::labels(arrow).into_iter().find_map(|text| {
        let width = columns(&text);
        straights.iter().find_map(|part| {
            let (first, heading) = *part.first()?;
            if heading.is_vertical() {
                beside(part, width, grid)
            } else {
                let cells: Vec<Cell> =
                    part.iter().map(|(cell, _)| *cell).filter(|cell| Some(*cell) != end).collect();
                inside(&cells, width, grid).or_else(|| above_or_below(part, first.y, width, grid))
            }
            .map(|at| Text { at, text: text.clone() })
        })
    })?;
    let Cell { x, y } = found.at;
    grid.take(Area { x: x.saturating_sub(1), y, width: columns(&found.text) + 2, height: 1 });
    Some(found)
}

/// In the middle of a horizontal line, with some of it at both ends.
fn inside(cells: &[Cell], width: usize, grid: &Grid) -> Option<Cell> {
    let (left, right) =
        (cells.iter().map(|cell| cell.x).min()?, cells.iter().map(|cell| cell.x).max()?);
    let room = right - left + 1;
    let spare = room.checked_sub(width + 4)?;
    let at = Cell { x: left + 2 + spare / 2, y: cells.first()?.y };
    let is_crossed = cells
        .iter()
        .any(|cell| (at.x - 1..=at.x + width).contains(&cell.x) && grid.is_taken(*cell));
    (!is_crossed).then_some(at)
}

fn above_or_below(part: &[(Cell, Heading)], y: usize, width: usize, grid: &Grid) -> Option<Cell> {
    let columns = || part.iter().map(|(cell, _)| cell.x);
    let middle = (columns().min()? + columns().max()?).div_ceil(2);
    let x = middle.saturating_sub(width / 2).max(1);
    let rows = [y.checked_sub(1), Some(y + 1)];
    rows.into_iter().flatten().map(|y| Cell { x, y }).find(|at| has_room(*at, width, grid))
}

/// Beside a vertical line, near its middle, to the right or to the left.
fn beside(part: &[(Cell, Heading)], width: usize, grid: &Grid) -> Option<Cell> {
    let middle = part.len() / 2;
    let mut near: Vec<usize> = (0..part.len()).collect();
    near.sort_by_key(|index| index.abs_diff(middle));
    near.into_iter().find_map(|index| {
        let Cell { x, y } = part[index].0;
        let right = Some(Cell { x: x + 2, y });
        let left = x.checked_sub(width + 1).filter(|x| *x > 0).map(|x| Cell { x, y });
        [right, left].into_iter().flatten().find(|at| has_room(*at, width, grid))
    })
}

fn has_room(at: Cell, width: usize, grid: &Grid) -> bool {
    let is_inside = at.x + width < WIDTH;
    is_inside && grid.is_free(Area { x: at.x - 1, y: at.y, width: width + 2, height: 1 })
}
