//! Pictures as an SVG document: one file that needs no other, light or dark as its reader has it, and whole
//! without colours. Its description says what is drawn.

use std::{fmt, io};

use super::{
    crossing::{Crossing, Switches},
    grid::{Cell, Heading, Way},
    layout::{Box, Drawn, Layout},
    parts::{Kind, WIDTH, Zone},
    picture::Picture,
    skipped, title, words,
};
use crate::{
    Mover,
    claims::Verdict,
    report::{
        Report,
        escape::markup as escaped,
        strategies::{answer::answer, setting::setting},
        text::{CUT, columns, fitted, wrap},
    },
};

/// How pictures look.
const STYLE: &str = include_str!("style.css");

/// Pixels of a cell.
const COLUMN: f64 = 7.0;
const ROW: f64 = 20.0;

/// Pixels around panels, and inside them.
const MARGIN: f64 = 24.0;
const INSIDE: f64 = 12.0;

/// Pixels of a panel's title, and of a line below its picture.
const TITLE: f64 = 104.0;
const LINE: f64 = 17.0;

/// Columns of a line below a picture.
const WRAPPED: usize = 70;

/// Panels beside each other.
const BESIDE: usize = 3;

/// Pixels that the parts of the machine reach above and below the cells.
const BLEED: f64 = 4.0;

/// Pixels that a place is lower than its cells.
const INSET: f64 = 7.0;

/// Pixels of an arrow's head.
const HEAD: f64 = 10.0;

/// Pixels that a line ends before and after the bytes that stand in it.
const AROUND: f64 = 4.0;

/// Pixels that a character of a small text takes, on average.
const CHARACTER: f64 = 6.6;

/// Writes all pictures as one document.
pub(in crate::report) fn write(
    report: &Report,
    pictures: &[(Picture, Layout)],
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let page = Page::of(report, pictures);
    let mut text = String::new();
    page.write(report, pictures, &mut text).map_err(io::Error::other)?;
    out.write_all(text.as_bytes())
}

/// One picture, for a page that has its name, numbers and lines beside it.
#[derive(Debug)]
pub(in crate::report) struct Alone {
    layout: Layout,
    described: String,
}

impl Alone {
    pub(super) fn of(picture: &Picture, layout: &Layout) -> Self {
        Self { layout: layout.clone(), described: picture.described.clone() }
    }
}

impl fmt::Display for Alone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { layout, described } = self;
        let (width, height) = (WIDTH as f64 * COLUMN, layout.height as f64 * ROW + 2.0 * BLEED);
        writeln!(
            f,
            "<svg viewBox=\"0 -{BLEED} {width} {height}\" role=\"img\" aria-label=\"{}\">",
            escaped(described)
        )?;
        scene(f, layout)?;
        write!(f, "</svg>")
    }
}

/// What a line or mark means, with a sample of it, for such a page.
#[derive(Debug)]
pub(in crate::report) struct Entry {
    sample: Sample,
    pub(in crate::report) words: &'static str,
}

/// What lines and marks mean.
pub(super) fn key(pictures: &[(Picture, Layout)]) -> Vec<Entry> {
    let entries = entries(pictures).into_iter();
    entries.map(|(sample, words)| Entry { sample, words }).collect()
}

impl Entry {
    /// Whether it has a sample: what is said of a letter has none.
    pub(in crate::report) fn is_drawn(&self) -> bool {
        !matches!(self.sample, Sample::Word)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "<svg class=\"sample\" viewBox=\"0 0 38 {ROW}\" aria-hidden=\"true\">")?;
        write_sample(f, 0.0, ROW / 2.0, self.sample)?;
        write!(f, "</svg>")
    }
}

/// Where the panels are.
struct Page {
    width: f64,
    height: f64,
    /// Pixels above the first panel.
    head: f64,
    /// Of each row of panels, their height.
    rows: Vec<f64>,
    sentences: Vec<String>,
    /// The environment of the measurement.
    facts: Vec<String>,
}

impl Page {
    fn of(report: &Report, pictures: &[(Picture, Layout)]) -> Self {
        let beside = pictures.len().clamp(1, BESIDE) as f64;
        let width = MARGIN + beside * (panel_width() + MARGIN);
        let room = ((width - 2.0 * MARGIN) / CHARACTER) as usize;
        let warnings = report.warnings.iter().map(|it| it.text.clone());
        let sentences = warnings.chain(answer(report)).chain(skipped(report));
        let sentences: Vec<_> = sentences.flat_map(|text| wrap(&text, room)).collect();
        let facts = setting(&report.environment, &report.payload, true);
        let facts =
            facts.iter().flat_map(|fact| wrap(&format!("{}: {}", fact.name, fact.text), room));
        let facts: Vec<_> = facts.collect();
        let rows: Vec<f64> = pictures
            .chunks(BESIDE)
            .map(|row| row.iter().map(panel_height).fold(0.0, f64::max))
            .collect();
        let head = MARGIN + 30.0 + LINE * sentences.len() as f64 + 8.0;
        let panels: f64 = rows.iter().map(|row| row + MARGIN).sum();
        let legend = legend(pictures, width).len() as f64 * (LINE + 6.0);
        let height = head + panels + legend + LINE * facts.len() as f64 + MARGIN;
        Self { width, height, head, rows, sentences, facts }
    }

    fn write(
        &self,
        report: &Report,
        pictures: &[(Picture, Layout)],
        to: &mut dyn fmt::Write,
    ) -> fmt::Result {
        let Self { width, height, .. } = self;
        let title = title(report);
        let described: Vec<_> = pictures.iter().map(|(it, _)| it.described.as_str()).collect();
        writeln!(
            to,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" role=\"img\" aria-labelledby=\"title desc\">"
        )?;
        writeln!(to, "<title id=\"title\">{}</title>", escaped(&title))?;
        writeln!(to, "<desc id=\"desc\">{}</desc>", escaped(&described.join(" ")))?;
        writeln!(to, "<style>\n{STYLE}</style>")?;
        writeln!(to, "<rect class=\"page\" width=\"{width}\" height=\"{height}\"/>")?;
        text(to, "title", MARGIN, MARGIN + 18.0, &title)?;
        for (index, sentence) in self.sentences.iter().enumerate() {
            text(to, "", MARGIN, MARGIN + 42.0 + LINE * index as f64, sentence)?;
        }
        let mut y = self.head;
        for (row, height) in pictures.chunks(BESIDE).zip(&self.rows) {
            for (index, picture) in row.iter().enumerate() {
                let x = MARGIN + index as f64 * (panel_width() + MARGIN);
                writeln!(to, "<g transform=\"translate({x} {y})\">")?;
                panel(to, picture, *height)?;
                writeln!(to, "</g>")?;
            }
            y += height + MARGIN;
        }
        for line in legend(pictures, *width) {
            for (x, sample, words) in line {
                write_sample(to, MARGIN + x, y, sample)?;
                text(to, "", MARGIN + x + SAMPLE, y + 4.0, &words)?;
            }
            y += LINE + 6.0;
        }
        for fact in &self.facts {
            text(to, "quiet", MARGIN, y + 4.0, fact)?;
            y += LINE;
        }
        writeln!(to, "</svg>")
    }
}

fn panel_width() -> f64 {
    WIDTH as f64 * COLUMN + 2.0 * INSIDE
}

fn panel_height((picture, layout): &(Picture, Layout)) -> f64 {
    let lines = said(picture, layout).len() as f64;
    TITLE + layout.height as f64 * ROW + lines * LINE + 2.0 * INSIDE
}

/// The lines of text below a picture.
fn said(picture: &Picture, layout: &Layout) -> Vec<String> {
    let said = layout.lines.iter().chain(&picture.lines);
    said.flat_map(|text| wrap(text, WRAPPED)).collect()
}

fn panel(to: &mut dyn fmt::Write, picture: &(Picture, Layout), height: f64) -> fmt::Result {
    let width = panel_width();
    let (picture, layout) = picture;
    writeln!(to, "<rect class=\"panel\" width=\"{width}\" height=\"{height}\" rx=\"10\"/>")?;
    heading(to, picture)?;
    writeln!(to, "<g transform=\"translate({INSIDE} {TITLE})\">")?;
    scene(to, layout)?;
    writeln!(to, "</g>")?;
    let below = TITLE + layout.height as f64 * ROW + INSIDE + 8.0;
    for (index, line) in said(picture, layout).iter().enumerate() {
        text(to, "small quiet", INSIDE, below + LINE * index as f64, line)?;
    }
    Ok(())
}

/// The picture itself.
fn scene(to: &mut dyn fmt::Write, layout: &Layout) -> fmt::Result {
    bands(to, layout)?;
    layout.boxes.iter().try_for_each(|it| place(to, it))?;
    layout.drawn.iter().try_for_each(|drawn| arrow(to, drawn))?;
    layout.drawn.iter().try_for_each(|drawn| label(to, drawn, layout))?;
    layout.crossings.iter().try_for_each(|it| crossing(to, it, layout.rules[0]))
}

/// The name, the verdict, and the numbers with the textbook's.
fn heading(to: &mut dyn fmt::Write, picture: &Picture) -> fmt::Result {
    let name = fitted(&picture.name, 28, CUT);
    text(to, "name", INSIDE, 26.0, &name)?;
    let class = match picture.verdict {
        Some(Verdict::Confirmed) => "end agrees",
        Some(Verdict::Refined | Verdict::Refuted) => "end differs",
        _ => "end quiet",
    };
    text(to, class, panel_width() - INSIDE, 26.0, picture.judged.trim())?;
    let apart = (panel_width() - 2.0 * INSIDE) / picture.counts.len().max(1) as f64;
    for (index, count) in picture.counts.iter().enumerate() {
        let x = INSIDE + index as f64 * apart;
        text(to, "number", x, 54.0, &count.number)?;
        text(to, "small", x, 70.0, count.noun)?;
        if let Some(documented) = &count.documented {
            text(to, "small quiet", x, 87.0, &format!("{}: {documented}", words::TEXTBOOK))?;
        }
    }
    Ok(())
}

/// User mode, the kernel and devices, with the lines between them.
fn bands(to: &mut dyn fmt::Write, layout: &Layout) -> fmt::Result {
    let width = WIDTH as f64 * COLUMN;
    let lines = layout.rules.map(|y| middle(Cell { x: 0, y }).1);
    let (top, bottom) = (-BLEED, layout.height as f64 * ROW + BLEED);
    let ends = [(top, lines[0]), (lines[0], lines[1]), (lines[1], bottom)];
    for ((zone, at), (from, until)) in layout.zones.iter().zip(ends) {
        let class = class_of(*zone);
        let height = until - from;
        writeln!(
            to,
            "<rect class=\"{class}\" y=\"{from}\" width=\"{width}\" height=\"{height}\"/>"
        )?;
        text(to, "quiet", left(at.x), middle(*at).1 + 4.0, words::zone(*zone))?;
    }
    for y in lines {
        writeln!(to, "<path class=\"rule\" d=\"M0 {y}H{width}\"/>")?;
    }
    Ok(())
}

fn class_of(zone: Zone) -> &'static str {
    match zone {
        Zone::User => "user",
        Zone::Kernel => "kernel",
        Zone::Devices => "devices",
    }
}

fn place(to: &mut dyn fmt::Write, it: &Box) -> fmt::Result {
    let Box { area, name, is_used, is_framed } = it;
    let (x, y) = (left(area.x), area.y as f64 * ROW + INSET);
    let (width, height) = (area.width as f64 * COLUMN, area.height as f64 * ROW - 2.0 * INSET);
    if *is_framed {
        writeln!(
            to,
            "<rect class=\"place\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"5\"/>"
        )?;
    }
    let class = if *is_used { "used middle" } else { "unused middle" };
    text(to, class, x + width / 2.0, y + height / 2.0 + 4.5, name)
}

fn arrow(to: &mut dyn fmt::Write, Drawn { kind, way, .. }: &Drawn) -> fmt::Result {
    let (path, head) = path(way);
    stroke(to, *kind, &path)?;
    writeln!(to, "<path class=\"{}-head\" d=\"{head}\"/>", name(*kind))
}

/// A line: the one of DMA has another one in it, which makes it two.
fn stroke(to: &mut dyn fmt::Write, kind: Kind, path: &str) -> fmt::Result {
    writeln!(to, "<path class=\"line {}\" d=\"{path}\"/>", name(kind))?;
    if kind == Kind::Moved(Mover::Dma) {
        writeln!(to, "<path class=\"core-line\" d=\"{path}\"/>")?;
    }
    Ok(())
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Moved(Mover::Dma) => "dma",
        Kind::Moved(Mover::Cpu) => "cpu",
        Kind::Moved(Mover::Reference) => "reference",
        Kind::Moved(Mover::Cipher) => "cipher",
        Kind::Unseen => "unseen",
    }
}

/// The line of a way, and its head.
fn path(way: &Way) -> (String, String) {
    let turns: Vec<_> = way.turns().collect();
    let mut path = String::new();
    if let Some((cell, into, _)) = turns.first() {
        let (x, y) = edge(*cell, *into, -1.0);
        path = format!("M{x} {y}");
    }
    for (cell, into, out) in &turns {
        if into != out {
            let (x, y) = middle(*cell);
            path.push_str(&format!("L{x} {y}"));
        }
    }
    let Some((cell, heading)) = way.end() else { return (path, String::new()) };
    let (x, y) = edge(cell, heading, 1.0);
    let (ahead_x, ahead_y) = ahead(heading);
    let (base_x, base_y) = (x - ahead_x * HEAD, y - ahead_y * HEAD);
    path.push_str(&format!("L{base_x} {base_y}"));
    let half = HEAD * 0.7;
    let (side_x, side_y) = (ahead_y * half, ahead_x * half);
    let head = format!(
        "M{x} {y}L{} {}L{} {}Z",
        base_x + side_x,
        base_y + side_y,
        base_x - side_x,
        base_y - side_y
    );
    (path, head)
}

fn ahead(heading: Heading) -> (f64, f64) {
    match heading {
        Heading::Up => (0.0, -1.0),
        Heading::Down => (0.0, 1.0),
        Heading::Left => (-1.0, 0.0),
        Heading::Right => (1.0, 0.0),
    }
}

/// The point at which a cell touches the place beside it.
fn edge(cell: Cell, heading: Heading, sign: f64) -> (f64, f64) {
    let ((x, y), (ahead_x, ahead_y)) = (middle(cell), ahead(heading));
    let (across, down) = (COLUMN / 2.0, ROW / 2.0 + INSET);
    (x + sign * ahead_x * across, y + sign * ahead_y * down)
}

fn label(to: &mut dyn fmt::Write, drawn: &Drawn, layout: &Layout) -> fmt::Result {
    let Drawn { label, way, .. } = drawn;
    let width = columns(&label.text) as f64 * COLUMN;
    let (x, (_, y)) = (left(label.at.x), middle(label.at));
    let class = class_of(layout.zone_at(label.at.y));
    if way.cells().any(|cell| cell == label.at) {
        let (x, top, width) = (x - AROUND, y - 9.0, width + 2.0 * AROUND);
        writeln!(
            to,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{top}\" width=\"{width}\" height=\"18\"/>"
        )?;
    }
    text(to, "middle", x + width / 2.0, y + 4.0, &label.text)
}

/// Two numbered circles on the line, and below it what the CPU does in the kernel between them.
fn crossing(to: &mut dyn fmt::Write, crossing: &Crossing, border: usize) -> fmt::Result {
    let Crossing { begin, end, switches, name } = crossing;
    let (first, y) = middle(Cell { x: *begin, y: border });
    let (last, below) = middle(Cell { x: *end, y: border + 1 });
    writeln!(to, "<path class=\"rule\" d=\"M{first} {y}V{below}H{last}V{y}\"/>")?;
    let (center, name) = ((first + last) / 2.0, name.trim());
    let width = columns(name) as f64 * COLUMN + 10.0;
    let (x, top) = (center - width / 2.0, below - 8.0);
    writeln!(to, "<rect class=\"kernel\" x=\"{x}\" y=\"{top}\" width=\"{width}\" height=\"16\"/>")?;
    text(to, "small middle", center, below + 4.0, name)?;
    match switches {
        Switches::Ordered(one, other) => {
            for (x, switch) in [(first, one), (last, other)] {
                writeln!(to, "<circle class=\"place\" cx=\"{x}\" cy=\"{y}\" r=\"9\"/>")?;
                text(to, "mark middle", x, y + 4.0, &switch.to_string())?;
            }
            if other - one > 1 {
                text(to, "mark middle", center, y - 4.0, "…")?;
            }
        }
        Switches::Counted(words) => {
            let width = columns(words) as f64 * COLUMN + 8.0;
            let (x, top) = (center - width / 2.0, y - 9.0);
            writeln!(
                to,
                "<rect class=\"place\" x=\"{x}\" y=\"{top}\" width=\"{width}\" height=\"18\" rx=\"9\"/>"
            )?;
            text(to, "mark middle", center, y + 4.0, words)?;
        }
    }
    Ok(())
}

/// What stands for a sample of a line or mark.
#[derive(Clone, Copy, Debug)]
enum Sample {
    Line(Kind),
    Switch,
    Word,
}

/// Pixels of a sample, with what is between it and its words.
const SAMPLE: f64 = 48.0;

/// The meanings of lines and marks, each with its distance from the left.
fn legend(pictures: &[(Picture, Layout)], width: f64) -> Vec<Vec<(f64, Sample, String)>> {
    let mut lines = vec![Vec::new()];
    let mut x = 0.0;
    for (sample, words) in entries(pictures) {
        let takes = SAMPLE + words.chars().count() as f64 * CHARACTER + 24.0;
        if x + takes > width - 2.0 * MARGIN && x > 0.0 {
            lines.push(Vec::new());
            x = 0.0;
        }
        if let Some(line) = lines.last_mut() {
            line.push((x, sample, words.to_owned()));
        }
        x += takes;
    }
    lines
}

fn entries(pictures: &[(Picture, Layout)]) -> Vec<(Sample, &'static str)> {
    let drawn = |kind| {
        pictures.iter().any(|(_, layout)| layout.drawn.iter().any(|drawn| drawn.kind == kind))
    };
    let movers = [Mover::Dma, Mover::Cpu, Mover::Reference, Mover::Cipher];
    let movers = movers.into_iter().filter(|by| drawn(Kind::Moved(*by)));
    let mut entries: Vec<_> =
        movers.map(|by| (Sample::Line(Kind::Moved(by)), words::meaning(by))).collect();
    if drawn(Kind::Unseen) {
        entries.push((Sample::Line(Kind::Unseen), words::UNSEEN));
    }
    entries.push((Sample::Switch, words::SWITCHES));
    if pictures.iter().any(|(picture, _)| picture.arrows.iter().any(|arrow| arrow.is_derived)) {
        entries.push((Sample::Word, words::IS_DERIVED));
    }
    entries
}

fn write_sample(to: &mut dyn fmt::Write, x: f64, y: f64, sample: Sample) -> fmt::Result {
    match sample {
        Sample::Line(kind) => stroke(to, kind, &format!("M{x} {y}H{}", x + 38.0)),
        Sample::Switch => {
            writeln!(to, "<circle class=\"place\" cx=\"{}\" cy=\"{y}\" r=\"9\"/>", x + 29.0)?;
            text(to, "mark middle", x + 29.0, y + 4.0, "1")
        }
        Sample::Word => Ok(()),
    }
}

/// The left edge of a column.
fn left(column: usize) -> f64 {
    column as f64 * COLUMN
}

/// The middle of a cell.
fn middle(cell: Cell) -> (f64, f64) {
    (left(cell.x) + COLUMN / 2.0, cell.y as f64 * ROW + ROW / 2.0)
}

fn text(to: &mut dyn fmt::Write, class: &str, x: f64, y: f64, text: &str) -> fmt::Result {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    writeln!(to, "<text{class} x=\"{x}\" y=\"{y}\">{}</text>", escaped(text))
}
