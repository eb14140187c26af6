//! Pictures on a terminal: beside each other where there is room, in characters that can be told apart
//! without colour.

use std::io;

use anstyle::{AnsiColor, Style as Ansi};

use super::{
    crossing::{Crossing, Switches},
    grid::Heading,
    layout::Layout,
    parts::{Kind, WIDTH},
    picture::{Count, Picture},
    words,
};
use crate::{
    Mover,
    report::{
        Style,
        document::Tone,
        text::{columns, fitted, wrap},
    },
};

/// Columns between two pictures.
const GAP: usize = 1;

/// The characters of a line.
struct Stroke {
    across: char,
    down: char,
    /// From above to the right, from above to the left, from below to the right, from below to the left.
    corners: [char; 4],
}

const fn stroke(across: char, down: char, corners: [char; 4]) -> Stroke {
    Stroke { across, down, corners }
}

const THIN: Stroke = stroke('─', '│', ['└', '┘', '┌', '┐']);
const DOUBLE: Stroke = stroke('═', '║', ['╚', '╝', '╔', '╗']);
const THICK: Stroke = stroke('━', '┃', ['┗', '┛', '┏', '┓']);
const DOTTED: Stroke = stroke('┄', '┆', ['└', '┘', '┌', '┐']);
const WAVY: Stroke = stroke('≋', '≋', ['≋'; 4]);
const OPEN: Stroke = stroke('?', '?', ['?'; 4]);

const ASCII_THIN: Stroke = stroke('-', '|', ['+'; 4]);
const ASCII_DOUBLE: Stroke = stroke('=', '"', ['"'; 4]);
const ASCII_THICK: Stroke = stroke('#', '#', ['#'; 4]);
const ASCII_DOTTED: Stroke = stroke('.', ':', ['.'; 4]);
const ASCII_WAVY: Stroke = stroke('~', '~', ['~'; 4]);

fn thin(is_ascii: bool) -> &'static Stroke {
    if is_ascii { &ASCII_THIN } else { &THIN }
}

fn stroke_of(kind: Kind, is_ascii: bool) -> &'static Stroke {
    match (kind, is_ascii) {
        (Kind::Moved(Mover::Dma), false) => &DOUBLE,
        (Kind::Moved(Mover::Dma), true) => &ASCII_DOUBLE,
        (Kind::Moved(Mover::Cpu), false) => &THICK,
        (Kind::Moved(Mover::Cpu), true) => &ASCII_THICK,
        (Kind::Moved(Mover::Reference), false) => &DOTTED,
        (Kind::Moved(Mover::Reference), true) => &ASCII_DOTTED,
        (Kind::Moved(Mover::Cipher), false) => &WAVY,
        (Kind::Moved(Mover::Cipher), true) => &ASCII_WAVY,
        (Kind::Unseen, _) => &OPEN,
    }
}

impl Stroke {
    fn drawn(&self, into: Heading, out: Heading) -> char {
        use Heading::{Down, Left, Right, Up};
        let [above_right, above_left, below_right, below_left] = self.corners;
        match (into, out) {
            (Left | Right, Left | Right) => self.across,
            (Up | Down, Up | Down) => self.down,
            (Down, Right) | (Left, Up) => above_right,
            (Down, Left) | (Right, Up) => above_left,
            (Up, Right) | (Left, Down) => below_right,
            (Up, Left) | (Right, Down) => below_left,
        }
    }
}

fn head(heading: Heading, is_ascii: bool) -> char {
    match (heading, is_ascii) {
        (Heading::Up, false) => '▲',
        (Heading::Down, false) => '▼',
        (Heading::Left, false) => '◀',
        (Heading::Right, false) => '▶',
        (Heading::Up, true) => '^',
        (Heading::Down, true) => 'v',
        (Heading::Left, true) => '<',
        (Heading::Right, true) => '>',
    }
}

/// The number of a mode switch: circled where there is such a character.
fn number(switch: u64, is_ascii: bool) -> String {
    let circled = u32::try_from(switch).ok().filter(|it| (1..=20).contains(it) && !is_ascii);
    match circled.and_then(|it| char::from_u32('①' as u32 + it - 1)) {
        Some(circled) => circled.to_string(),
        None => format!("({switch})"),
    }
}

/// The colours of characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Ink {
    #[default]
    Plain,
    Tone(Tone),
    Moved(Kind),
}

impl Ink {
    fn paint(self, style: &Style, text: &str) -> String {
        match self {
            Self::Plain => text.to_owned(),
            Self::Tone(tone) => style.toned(tone, text),
            Self::Moved(Kind::Moved(by)) => style.paint(color(by), text),
            Self::Moved(Kind::Unseen) => style.toned(Tone::Open, text),
        }
    }
}

fn color(by: Mover) -> Ansi {
    match by {
        Mover::Dma => AnsiColor::Blue.on_default(),
        Mover::Cpu => AnsiColor::Red.on_default().bold(),
        Mover::Reference => AnsiColor::Green.on_default(),
        Mover::Cipher => AnsiColor::Magenta.on_default(),
    }
}

/// Characters in rows and columns.
struct Canvas {
    rows: Vec<Vec<(char, Ink)>>,
}

impl Canvas {
    fn new(height: usize) -> Self {
        Self { rows: vec![vec![(' ', Ink::Plain); WIDTH]; height] }
    }

    fn put(&mut self, x: usize, y: usize, character: char, ink: Ink) {
        if let Some(cell) = self.rows.get_mut(y).and_then(|row| row.get_mut(x)) {
            *cell = (character, ink);
        }
    }

    fn write(&mut self, x: usize, y: usize, text: &str, ink: Ink) {
        for (index, character) in text.chars().enumerate() {
            self.put(x + index, y, character, ink);
        }
    }

    /// Each row as it is printed.
    fn lines(&self, style: &Style) -> Vec<String> {
        let line = |row: &Vec<(char, Ink)>| {
            let parts = row.chunk_by(|(_, one), (_, other)| one == other);
            parts
                .map(|part| {
                    let text: String = part.iter().map(|(character, _)| character).collect();
                    part.first().map_or(String::new(), |(_, ink)| ink.paint(style, &text))
                })
                .collect()
        };
        self.rows.iter().map(line).collect()
    }
}

/// Draws pictures, each with its title and what is said below it.
pub(in crate::report) fn write(
    pictures: &[(Picture, Layout)],
    style: &Style,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let beside = ((usize::from(style.width) + GAP) / (WIDTH + GAP)).max(1);
    for (index, row) in pictures.chunks(beside).enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        write_row(row, style, out)?;
    }
    Ok(())
}

fn write_row(
    pictures: &[(Picture, Layout)],
    style: &Style,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let titles: Vec<Lines> = pictures.iter().map(|(picture, _)| title(picture, style)).collect();
    let drawings: Vec<Lines> = pictures
        .iter()
        .map(|(_, layout)| draw(layout, style).into_iter().map(|line| (line, WIDTH)).collect())
        .collect();
    let said = pictures.iter().map(|(picture, layout)| below(picture, layout, style)).collect();
    for part in [titles, drawings, said] {
        write_beside(part, out)?;
    }
    Ok(())
}

/// Lines, each with the columns it takes.
type Lines = Vec<(String, usize)>;

fn write_beside(parts: Vec<Lines>, out: &mut dyn io::Write) -> io::Result<()> {
    let height = parts.iter().map(Vec::len).max().unwrap_or_default();
    for row in 0..height {
        let mut line = String::new();
        let mut at = 0;
        for (index, part) in parts.iter().enumerate() {
            let Some((text, width)) = part.get(row).filter(|(text, _)| !text.trim().is_empty())
            else {
                continue;
            };
            let begin = index * (WIDTH + GAP);
            line.extend(std::iter::repeat_n(' ', begin - at));
            line.push_str(text);
            at = begin + width;
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// The left margin of every line.
const MARGIN: &str = " ";

/// The strategy with the verdict, the numbers, and the textbook's below them.
fn title(picture: &Picture, style: &Style) -> Lines {
    let judged = style.drawn(&picture.judged).into_owned();
    let judged = judged.trim_start();
    let room = WIDTH.saturating_sub(MARGIN.len() + columns(judged) + 2);
    let name = fitted(&picture.name, room, style.cut());
    let tone = picture.verdict.map_or(Tone::Dim, Tone::from);
    let gap = room.saturating_sub(columns(&name)) + 2;
    let first = format!(
        "{MARGIN}{}{:gap$}{}",
        style.toned(Tone::Strong, &name),
        "",
        style.toned(tone, judged)
    );
    let first = (first, MARGIN.len() + columns(&name) + gap + columns(judged));
    let between = style.drawn(" · ");
    let texts: Vec<String> = picture.counts.iter().map(Count::text).collect();
    let mut lines: Lines = vec![first];
    let numbers = in_lines(&texts, &between);
    let fits = numbers.len() == 1;
    lines.extend(numbers.into_iter().map(|line| {
        let width = columns(&line);
        (line, width)
    }));
    let documented: Option<Vec<&str>> =
        picture.counts.iter().map(|count| count.documented.as_deref()).collect();
    let documented = documented.filter(|numbers| fits && !numbers.is_empty());
    let last = match documented {
        Some(numbers) => {
            let line = textbook(&texts, &numbers, columns(&between));
            let width = columns(&line);
            (style.toned(Tone::Dim, line), width)
        }
        None => (String::new(), 0),
    };
    lines.push(last);
    lines.push((String::new(), 0));
    lines
}

/// The numbers, as many in a line as there is room for.
fn in_lines(texts: &[String], between: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for text in texts {
        match lines.last_mut() {
            Some(line) if columns(line) + columns(between) + columns(text) <= WIDTH => {
                line.push_str(between);
                line.push_str(text);
            }
            _ => lines.push(format!("{MARGIN}{text}")),
        }
    }
    lines
}

/// Each number of the textbook below the measured one.
fn textbook(texts: &[String], numbers: &[&str], between: usize) -> String {
    let mut line = MARGIN.to_owned();
    for (index, (text, number)) in texts.iter().zip(numbers).enumerate() {
        // A measured number may begin with the mark of a derived one.
        let before = text.chars().take_while(|it| !it.is_ascii_digit() && *it != '?').count();
        let width = if index + 1 < texts.len() { columns(text) + between } else { 0 };
        let cell = format!("{:before$}{number}", "");
        line.push_str(&format!("{cell:width$}"));
    }
    format!("{line}  {}", words::TEXTBOOK)
}

/// The lines of text for parts that could not be drawn.
fn below(picture: &Picture, layout: &Layout, style: &Style) -> Lines {
    let said = layout.lines.iter().chain(&picture.lines);
    let lines = said.flat_map(|text| {
        let wrapped = wrap(&style.drawn(text), WIDTH - MARGIN.len() - INDENT);
        wrapped.into_iter().enumerate().map(|(index, line)| {
            let mark = if index == 0 { "·" } else { " " };
            let line = format!("{MARGIN}{} {line}", style.drawn(mark));
            let width = columns(&line);
            (line, width)
        })
    });
    std::iter::once((String::new(), 0)).chain(lines).collect()
}

/// Columns of the mark before what is said.
const INDENT: usize = 2;

fn draw(layout: &Layout, style: &Style) -> Vec<String> {
    let mut canvas = Canvas::new(layout.height);
    let is_ascii = style.ascii;
    let (thin, dim) = (thin(is_ascii), Ink::Tone(Tone::Dim));
    for y in layout.rules {
        (1..WIDTH).for_each(|x| canvas.put(x, y, thin.across, dim));
    }
    for (zone, at) in layout.zones {
        canvas.write(at.x, at.y, words::zone(zone), dim);
    }
    for it in &layout.boxes {
        let (area, name) = (it.area, it.name);
        let at = area.x + (area.width - columns(name)) / 2;
        let ink = if it.is_used { Ink::Tone(Tone::Strong) } else { dim };
        if it.is_framed {
            frame(&mut canvas, it.area, thin);
        }
        canvas.write(at, area.y + 1, name, ink);
    }
    // What leads down is drawn over what leads across.
    for is_vertical in [false, true] {
        for drawn in &layout.drawn {
            let stroke = stroke_of(drawn.kind, is_ascii);
            let turns = drawn.way.turns().filter(|(_, into, _)| into.is_vertical() == is_vertical);
            for (cell, into, out) in turns {
                canvas.put(cell.x, cell.y, stroke.drawn(into, out), Ink::Moved(drawn.kind));
            }
        }
    }
    for drawn in &layout.drawn {
        if let Some((cell, heading)) = drawn.way.end() {
            canvas.put(cell.x, cell.y, head(heading, is_ascii), Ink::Moved(drawn.kind));
        }
        let text = format!(" {} ", style.drawn(&drawn.label.text));
        let is_on_line = drawn.way.cells().any(|cell| cell == drawn.label.at);
        let (text, x) = match is_on_line {
            true => (text.as_str(), drawn.label.at.x - 1),
            false => (text.trim(), drawn.label.at.x),
        };
        canvas.write(x, drawn.label.at.y, text, Ink::Plain);
    }
    layout.crossings.iter().for_each(|it| cross(&mut canvas, it, layout.rules[0], is_ascii));
    canvas.lines(style)
}

fn frame(canvas: &mut Canvas, area: super::grid::Area, stroke: &Stroke) {
    let (right, bottom) = (area.x + area.width - 1, area.y + area.height - 1);
    for x in area.x..=right {
        canvas.put(x, area.y, stroke.across, Ink::Plain);
        canvas.put(x, bottom, stroke.across, Ink::Plain);
    }
    for y in area.y..=bottom {
        canvas.put(area.x, y, stroke.down, Ink::Plain);
        canvas.put(right, y, stroke.down, Ink::Plain);
    }
    let [above_right, above_left, below_right, below_left] = stroke.corners;
    for (x, y, corner) in [
        (area.x, bottom, above_right),
        (right, bottom, above_left),
        (area.x, area.y, below_right),
        (right, area.y, below_left),
    ] {
        canvas.put(x, y, corner, Ink::Plain);
    }
}

/// The numbers of two switches on the line, and between them, below it, what the CPU does in the kernel.
fn cross(canvas: &mut Canvas, crossing: &Crossing, border: usize, is_ascii: bool) {
    let Crossing { begin, end, switches, name } = crossing;
    let strong = Ink::Tone(Tone::Strong);
    match switches {
        Switches::Ordered(first, last) => {
            for (at, switch) in [(*begin, *first), (*end, *last)] {
                let mark = number(switch, is_ascii);
                canvas.write(at - mark.chars().count() / 2, border, &mark, strong);
            }
            if last - first > 1 {
                let middle = (begin + end) / 2;
                let dots = if is_ascii { " .. " } else { " … " };
                canvas.write(middle - 1, border, dots, strong);
            }
        }
        Switches::Counted(text) => {
            let at = begin + (end + 1 - begin - columns(text)) / 2;
            canvas.write(at - 1, border, &format!(" {text} "), strong);
        }
    }
    let corners = thin(is_ascii).corners;
    canvas.put(*begin, border + 1, corners[0], Ink::Plain);
    canvas.put(*end, border + 1, corners[1], Ink::Plain);
    let room = end - begin - 1;
    let name = fitted(name, room, "");
    canvas.write(begin + 1 + (room - columns(&name).min(room)) / 2, border + 1, &name, Ink::Plain);
}

/// What the lines and marks of these pictures mean.
pub(in crate::report) fn legend(pictures: &[(Picture, Layout)], is_ascii: bool) -> Vec<String> {
    let drawn: Vec<Kind> = pictures
        .iter()
        .flat_map(|(_, layout)| layout.drawn.iter().map(|drawn| drawn.kind))
        .collect();
    let sample = |kind| stroke_of(kind, is_ascii).across.to_string().repeat(2);
    let movers = [Mover::Dma, Mover::Cpu, Mover::Reference, Mover::Cipher];
    let movers = movers.into_iter().filter(|by| drawn.contains(&Kind::Moved(*by)));
    let mut parts: Vec<String> =
        movers.map(|by| format!("{} {}", sample(Kind::Moved(by)), words::meaning(by))).collect();
    if drawn.contains(&Kind::Unseen) {
        parts.push(format!("{} {}", sample(Kind::Unseen), words::UNSEEN));
    }
    let is_numbered = |(_, layout): &(Picture, Layout)| {
        layout.crossings.iter().any(|it| matches!(it.switches, Switches::Ordered(..)))
    };
    let mut marks = Vec::new();
    if pictures.iter().any(is_numbered) {
        marks.push(format!("{}{} {}", number(1, is_ascii), number(2, is_ascii), words::SWITCHES));
    }
    let is_derived =
        |(picture, _): &(Picture, Layout)| picture.arrows.iter().any(|arrow| arrow.is_derived);
    if pictures.iter().any(is_derived) {
        marks.push(words::IS_DERIVED.to_owned());
    }
    let is_documented = |(picture, _): &(Picture, Layout)| {
        picture.counts.iter().any(|count| count.documented.is_some())
    };
    if pictures.iter().any(is_documented) {
        marks.push(words::TEXTBOOK_NUMBERS.to_owned());
    }
    [parts, marks].into_iter().filter(|parts| !parts.is_empty()).map(|it| it.join("; ")).collect()
}
