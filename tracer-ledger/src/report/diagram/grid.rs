//! A grid of cells, and ways over it that arrows take: straight where there is room, with few bends and
//! crossings where there is none.

use std::{cmp::Reverse, collections::BinaryHeap};

/// A cell, by its column and its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Cell {
    pub(super) x: usize,
    pub(super) y: usize,
}

/// The direction of the next cell of a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Heading {
    Up,
    Down,
    Left,
    Right,
}

/// The cells of a way, from the one beside its start to the one beside its end, with directions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way(pub(super) Vec<(Cell, Heading)>);

/// A rectangle of cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

/// The uses of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Free,
    /// Ways may cross it, from above to below or the other way.
    Crossing,
    /// No way may lead through it.
    Taken,
    /// A way leads straight through it.
    Way(Axis),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axis {
    Horizontal,
    Vertical,
}

/// The occupied cells.
pub(super) struct Grid {
    width: usize,
    height: usize,
    cells: Vec<Use>,
}

/// The costs of a way. A detour of some cells is better than a bend or a crossing.
const STEP: u32 = 10;
const BEND: u32 = 100;
const CROSSING: u32 = 80;
/// Beside another way, where the two are hard to tell apart.
const BESIDE: u32 = 25;
/// Across a line between two parts of the machine: a way within one part should not lead through another.
const BORDER: u32 = 200;
/// For each cell that it begins or ends away from the middle of a side.
const OFF_CENTER: u32 = 40;

impl Heading {
    pub(super) const ALL: [Self; 4] = [Self::Up, Self::Down, Self::Left, Self::Right];

    fn axis(self) -> Axis {
        match self {
            Self::Up | Self::Down => Axis::Vertical,
            Self::Left | Self::Right => Axis::Horizontal,
        }
    }

    pub(super) fn is_vertical(self) -> bool {
        self.axis() == Axis::Vertical
    }

    fn opposite(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
            Self::Left => Self::Right,
            Self::Right => Self::Left,
        }
    }
}

impl Cell {
    /// The next one, unless that is beyond the first column or row.
    fn next(self, heading: Heading) -> Option<Self> {
        let Self { x, y } = self;
        Some(match heading {
            Heading::Up => Self { x, y: y.checked_sub(1)? },
            Heading::Down => Self { x, y: y + 1 },
            Heading::Left => Self { x: x.checked_sub(1)?, y },
            Heading::Right => Self { x: x + 1, y },
        })
    }
}

impl Area {
    pub(super) fn center(self) -> Cell {
        Cell { x: self.x + self.width / 2, y: self.y + self.height / 2 }
    }

    fn cells(self) -> impl Iterator<Item = Cell> {
        let rows = self.y..self.y + self.height;
        rows.flat_map(move |y| (self.x..self.x + self.width).map(move |x| Cell { x, y }))
    }

    /// The cells beside a side, with how far each is from its middle. At the left and the right there is
    /// one.
    fn beside(self, side: Heading) -> Vec<(Cell, u32)> {
        let center = self.center();
        let from_center = |x: usize| (x.abs_diff(center.x) as u32) * OFF_CENTER;
        let inner = self.x + 1..self.x + self.width - 1;
        match side {
            Heading::Up if self.y > 0 => {
                inner.map(|x| (Cell { x, y: self.y - 1 }, from_center(x))).collect()
            }
            Heading::Down => {
                inner.map(|x| (Cell { x, y: self.y + self.height }, from_center(x))).collect()
            }
            Heading::Left if self.x > 0 => vec![(Cell { x: self.x - 1, y: center.y }, 0)],
            Heading::Right => vec![(Cell { x: self.x + self.width, y: center.y }, 0)],
            Heading::Up | Heading::Left => Vec::new(),
        }
    }
}

impl Way {
    pub(super) fn cells(&self) -> impl Iterator<Item = Cell> + '_ {
        self.0.iter().map(|(cell, _)| *cell)
    }

    /// Its direction at its end.
    pub(super) fn end(&self) -> Option<(Cell, Heading)> {
        self.0.last().copied()
    }

    /// Each cell with the directions in and out of it.
    pub(super) fn turns(&self) -> impl Iterator<Item = (Cell, Heading, Heading)> + '_ {
        let out = self.0.iter().skip(1).chain(self.0.last()).map(|(_, heading)| *heading);
        self.0.iter().zip(out).map(|((cell, into), out)| (*cell, *into, out))
    }

    /// The straight parts between bends, the longest first.
    pub(super) fn straights(&self) -> Vec<Vec<(Cell, Heading)>> {
        let turns: Vec<_> = self.turns().collect();
        let parts = turns.split(|(_, into, out)| into != out).filter(|part| !part.is_empty());
        let mut parts: Vec<Vec<_>> = parts
            .map(|part| part.iter().map(|(cell, heading, _)| (*cell, *heading)).collect())
            .collect();
        parts.sort_by_key(|part| Reverse(part.len()));
        parts
    }
}

impl Grid {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self { width, height, cells: vec![Use::Free; width * height] }
    }

    fn index(&self, cell: Cell) -> Option<usize> {
        (cell.x < self.width && cell.y < self.height).then(|| cell.y * self.width + cell.x)
    }

    fn at(&self, cell: Cell) -> Use {
        self.index(cell).map_or(Use::Taken, |index| self.cells[index])
    }

    fn set(&mut self, cell: Cell, to: Use) {
        if let Some(index) = self.index(cell) {
            self.cells[index] = to;
        }
    }

    /// Marks an area as occupied.
    pub(super) fn take(&mut self, area: Area) {
        area.cells().for_each(|cell| self.set(cell, Use::Taken));
    }

    /// A row that ways only cross.
    pub(super) fn cross_only(&mut self, y: usize) {
        (0..self.width).for_each(|x| self.set(Cell { x, y }, Use::Crossing));
    }

    /// Whether an area is free.
    pub(super) fn is_free(&self, area: Area) -> bool {
        area.cells().all(|cell| self.at(cell) == Use::Free)
    }

    /// Whether no way leads through it, but one may.
    pub(super) fn is_crossable(&self, area: Area) -> bool {
        area.cells().all(|cell| matches!(self.at(cell), Use::Free | Use::Crossing))
    }

    /// Whether a way leads past another one there.
    pub(super) fn is_taken(&self, cell: Cell) -> bool {
        self.at(cell) == Use::Taken
    }

    /// The best way from one area to another, which is then occupied.
    pub(super) fn connect(&mut self, from: Area, to: Area) -> Option<Way> {
        let way = self.best(from, to)?;
        for (cell, into, out) in way.turns() {
            let is_crossed = matches!(self.at(cell), Use::Way(_));
            let straight = into == out && !is_crossed;
            self.set(cell, if straight { Use::Way(into.axis()) } else { Use::Taken });
        }
        // Nothing may cross the arrowhead.
        way.end().iter().for_each(|(cell, _)| self.set(*cell, Use::Taken));
        way.0.first().iter().for_each(|(cell, _)| self.set(*cell, Use::Taken));
        Some(way)
    }

    /// By Dijkstra's algorithm over cells and headings.
    fn best(&self, from: Area, to: Area) -> Option<Way> {
        let mut costs = vec![u32::MAX; self.cells.len() * 4];
        let mut before = vec![None; self.cells.len() * 4];
        let mut queue = BinaryHeap::new();
        let ends: Vec<(Cell, Heading, u32)> = Heading::ALL
            .into_iter()
            .flat_map(|side| {
                let beside = to.beside(side).into_iter();
                beside.map(move |(cell, cost)| (cell, side.opposite(), cost))
            })
            .collect();
        for side in Heading::ALL {
            for (cell, cost) in from.beside(side) {
                if self.at(cell) == Use::Free {
                    queue.push(Reverse((cost, cell, side, None)));
                }
            }
        }
        let mut best: Option<(u32, usize)> = None;
        while let Some(Reverse((cost, cell, heading, previous))) = queue.pop() {
            if best.is_some_and(|(best, _)| cost >= best) {
                break;
            }
            let Some(index) = self.index(cell) else { continue };
            let state = index * 4 + heading as usize;
            if cost >= costs[state] {
                continue;
            }
            costs[state] = cost;
            before[state] = previous;
            let end = ends.iter().find(|(end, pointing, _)| (*end, *pointing) == (cell, heading));
            if let Some((.., more)) = end.filter(|_| self.at(cell) == Use::Free) {
                let total = cost + more;
                if best.is_none_or(|(best, _)| total < best) {
                    best = Some((total, state));
                }
            }
            for next in Heading::ALL.into_iter().filter(|next| *next != heading.opposite()) {
                if let Some((cell, more)) = self.step(cell, heading, next) {
                    queue.push(Reverse((cost + more, cell, next, Some(state))));
                }
            }
        }
        best.map(|(_, state)| self.back(state, &before))
    }

    /// The next cell and the cost of the step, if it is possible: a way bends only in free cells.
    fn step(&self, cell: Cell, heading: Heading, next: Heading) -> Option<(Cell, u32)> {
        let bends = heading != next;
        if bends && self.at(cell) != Use::Free {
            return None;
        }
        let to = cell.next(next)?;
        let crossing = match self.at(to) {
            Use::Free => 0,
            Use::Crossing if next.is_vertical() => BORDER,
            Use::Way(axis) if axis != next.axis() => CROSSING,
            _ => return None,
        };
        let bend = if bends { BEND } else { 0 };
        Some((to, STEP + bend + crossing + self.beside(to, next)))
    }

    fn beside(&self, cell: Cell, heading: Heading) -> u32 {
        let sides = match heading.axis() {
            Axis::Horizontal => [Heading::Up, Heading::Down],
            Axis::Vertical => [Heading::Left, Heading::Right],
        };
        let neighbours = sides.into_iter().filter_map(|side| cell.next(side));
        let parallel = neighbours.filter(|cell| self.at(*cell) == Use::Way(heading.axis()));
        BESIDE * parallel.count() as u32
    }

    fn back(&self, last: usize, before: &[Option<usize>]) -> Way {
        let states = std::iter::successors(Some(last), |state| before[*state]);
        let mut cells: Vec<(Cell, Heading)> = states
            .map(|state| {
                let (index, heading) = (state / 4, Heading::ALL[state % 4]);
                (Cell { x: index % self.width, y: index / self.width }, heading)
            })
            .collect();
        cells.reverse();
        Way(cells)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(x: usize, y: usize) -> Area {
        Area { x, y, width: 5, height: 3 }
    }

    fn grid(taken: &[Area]) -> Grid {
        let mut grid = Grid::new(40, 20);
        taken.iter().for_each(|area| grid.take(*area));
        grid
    }

    fn bends(way: &Way) -> usize {
        way.turns().filter(|(_, into, out)| into != out).count()
    }

    #[test]
    fn a_way_is_straight_where_nothing_is_between() {
        let (from, to) = (area(0, 0), area(20, 0));
        let way = grid(&[from, to]).connect(from, to).unwrap();
        assert_eq!(bends(&way), 0);
        assert_eq!(way.cells().map(|cell| cell.x).collect::<Vec<_>>(), (5..20).collect::<Vec<_>>());
        assert_eq!(way.end(), Some((Cell { x: 19, y: 1 }, Heading::Right)));
    }

    #[test]
    fn a_way_leads_around_what_is_between() {
        let (from, between, to) = (area(0, 4), area(10, 4), area(20, 4));
        let way = grid(&[from, between, to]).connect(from, to).unwrap();
        assert!(bends(&way) >= 2);
        let between: Vec<Cell> = between.cells().collect();
        assert!(way.cells().all(|cell| !between.contains(&cell)));
    }

    #[test]
    fn ways_share_no_cell_but_where_they_cross() {
        let areas = [area(0, 8), area(30, 8), area(15, 0), area(15, 16)];
        let mut grid = grid(&areas);
        let across = grid.connect(areas[0], areas[1]).unwrap();
        let down = grid.connect(areas[2], areas[3]).unwrap();
        assert_eq!((bends(&across), bends(&down)), (0, 0));
        let again = grid.connect(areas[0], areas[1]).unwrap();
        let shared = again.cells().filter(|cell| across.cells().any(|other| other == *cell));
        assert_eq!(shared.count(), 0);
    }

    #[test]
    fn a_line_is_crossed_and_not_followed() {
        let (from, to) = (area(0, 0), area(20, 8));
        let mut grid = grid(&[from, to]);
        grid.cross_only(5);
        let way = grid.connect(from, to).unwrap();
        assert_eq!(way.cells().filter(|cell| cell.y == 5).count(), 1);
    }

    #[test]
    fn where_there_is_no_way_there_is_none() {
        let (from, to) = (area(0, 0), area(20, 0));
        let mut grid = grid(&[from, to]);
        grid.take(Area { x: 10, y: 0, width: 1, height: 20 });
        assert_eq!(grid.connect(from, to), None);
    }
}
