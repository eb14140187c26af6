//! A flame graph of stacks: a box for each function, as wide as the bytes that were copied in what it
//! called, on the box of its caller. It is as wide as the page, and its texts as large.

use std::{cmp::Reverse, collections::BTreeMap, fmt};

use crate::{
    report::{
        escape::markup,
        text::{CUT, fitted},
    },
    words,
};

/// Boxes on each other at most: a program's recursion may be deeper.
const MOST_LEVELS: usize = 160;

/// Boxes that a page has room for.
const MOST_BOXES: usize = 1000;

/// A box that is less than one part in so many of all is narrower than a pixel.
const PARTS: u64 = 2000;

/// Columns of the longest name: functions of C++ have such of any length.
const LONGEST: usize = 100;

/// Pixels of a level, and of a box in it.
const LEVEL: usize = 20;
const BOX: usize = 19;

/// Percent of the width from which on a box has room for some of its name.
const NAMED: f64 = 1.5;

/// What a function is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::report) enum Layer {
    Program,
    User,
    Kernel,
    /// The routine that copies.
    Copy,
    /// No stack was seen.
    Unknown,
}

/// A flame graph.
#[derive(Debug)]
pub(in crate::report) struct Flames {
    boxes: Vec<Box>,
    all: u64,
    is_whole: bool,
}

/// A function below the same callers, wherever it was called from there.
#[derive(Debug)]
struct Box {
    layer: Layer,
    name: String,
    level: usize,
    /// Bytes that are to its left, and its own.
    before: u64,
    bytes: u64,
}

/// Functions from the outermost inwards.
type Path = Vec<(Layer, String)>;

impl Flames {
    /// Of stacks with their bytes; none without any.
    pub(in crate::report) fn of(stacks: impl Iterator<Item = (Path, u64)>) -> Option<Self> {
        let mut paths = BTreeMap::<Path, u64>::new();
        for (mut path, bytes) in stacks.filter(|(_, bytes)| *bytes > 0) {
            path.truncate(MOST_LEVELS);
            *paths.entry(path).or_default() += bytes;
        }
        let all = paths.values().sum();
        let mut boxes = boxes(paths);
        let every = boxes.len();
        boxes.retain(|it| it.bytes >= all / PARTS);
        // A caller is no narrower than what it calls, and comes first.
        boxes.sort_by_key(|it| Reverse(it.bytes));
        boxes.truncate(MOST_BOXES);
        (!boxes.is_empty()).then_some(Self { is_whole: boxes.len() == every, boxes, all })
    }

    pub(super) fn caption(&self) -> String {
        let rest = if self.is_whole { "" } else { "; what is too narrow is left out" };
        format!(
            "The {} that the CPU copied, by where: each box is as wide as what was copied in it, and \
             stands on its caller{rest}",
            words::size(self.all)
        )
    }

    /// Those that there are.
    pub(super) fn layers(&self) -> impl Iterator<Item = Layer> {
        let layers = [Layer::Program, Layer::User, Layer::Kernel, Layer::Copy, Layer::Unknown];
        layers.into_iter().filter(|layer| self.boxes.iter().any(|it| it.layer == *layer))
    }

    fn percent(&self, bytes: u64) -> f64 {
        bytes as f64 / self.all as f64 * 100.0
    }

    fn write_box(&self, it: &Box, levels: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (x, width) = (self.percent(it.before), self.percent(it.bytes));
        let y = (levels - 1 - it.level) * LEVEL;
        let name = markup(&fitted(&it.name, LONGEST, CUT));
        writeln!(
            f,
            "<svg x=\"{x:.3}%\" y=\"{y}\" width=\"{width:.3}%\" height=\"{BOX}\">\
             <title>{name}, {}: {}, {width:.1} %</title>\
             <rect class=\"flame {}\" width=\"100%\" height=\"100%\" rx=\"2\"/>{}</svg>",
            it.layer.words(),
            words::size(it.bytes),
            it.layer.class(),
            if width < NAMED {
                String::new()
            } else {
                format!("<text x=\"4\" y=\"14\">{name}</text>")
            }
        )
    }
}

/// Paths in their order share the boxes that they begin with.
fn boxes(paths: BTreeMap<Path, u64>) -> Vec<Box> {
    let (mut boxes, mut open) = (Vec::<Box>::new(), Vec::<usize>::new());
    let mut before = 0;
    for (path, bytes) in paths {
        let is_open = |(index, (layer, name)): &(&usize, &(Layer, String))| {
            (boxes[**index].layer, &boxes[**index].name) == (*layer, name)
        };
        let shared = open.iter().zip(&path).take_while(is_open).count();
        open.truncate(shared);
        open.iter().for_each(|index| boxes[*index].bytes += bytes);
        for (level, (layer, name)) in path.into_iter().enumerate().skip(shared) {
            open.push(boxes.len());
            boxes.push(Box { layer, name, level, before, bytes });
        }
        before += bytes;
    }
    boxes
}

impl Layer {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Program => "of-program",
            Self::User => "of-user",
            Self::Kernel => "of-kernel",
            Self::Copy => "of-copy",
            Self::Unknown => "of-nobody",
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::User => "function of the program",
            Self::Kernel => "function of the kernel",
            Self::Copy => "the routine that copies",
            Self::Unknown => "no stack was seen",
        }
    }
}

/// The drawing.
impl fmt::Display for Flames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let levels = self.boxes.iter().map(|it| it.level + 1).max().unwrap_or_default();
        let height = levels * LEVEL;
        let label = markup(&self.caption());
        writeln!(f, "<svg role=\"img\" height=\"{height}\" aria-label=\"{label}\">")?;
        self.boxes.iter().try_for_each(|it| self.write_box(it, levels, f))?;
        f.write_str("</svg>")
    }
}
