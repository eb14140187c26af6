//! Pictures as a Mermaid flowchart (<https://mermaid.js.org/syntax/flowchart.html>), for Markdown
//! renderers that support it. Mermaid chooses the positions of the places.

use std::io;

use super::{
    layout::Layout,
    parts::{Arrow, Kind, Spot, Zone},
    picture::{Calls, Count, Picture},
    skipped, title, words,
};
use crate::{
    Mover,
    report::{Report, escape::plain},
};

/// Writes all pictures as one flowchart, with a frame around each.
pub(in crate::report) fn write(
    report: &Report,
    pictures: &[(Picture, Layout)],
    out: &mut dyn io::Write,
) -> io::Result<()> {
    writeln!(out, "flowchart TB")?;
    writeln!(out, "  accTitle: {}", escaped(&title(report)))?;
    let described = pictures.iter().map(|(picture, _)| picture.described.clone());
    let described: Vec<_> = described.chain(skipped(report)).collect();
    writeln!(out, "  accDescr: {}", escaped(&described.join(" ")))?;
    for (index, (picture, _)) in pictures.iter().enumerate() {
        write_picture(index, picture, out)?;
    }
    Ok(())
}

fn write_picture(index: usize, picture: &Picture, out: &mut dyn io::Write) -> io::Result<()> {
    let counts: Vec<_> = picture.counts.iter().map(Count::text).collect();
    let heading = format!("{}: {}, {}", picture.name, counts.join(", "), picture.judged.trim());
    writeln!(out, "  subgraph s{index}[\"{}\"]", escaped(&heading))?;
    for zone in [Zone::User, Zone::Kernel, Zone::Devices] {
        writeln!(out, "    subgraph s{index}In{zone:?}[\"{}\"]", words::zone(zone))?;
        let here = |spot: &Spot| picture.shows(*spot) && spot.zone() == zone;
        for spot in Spot::ALL.into_iter().filter(here) {
            let name = words::spot(spot, picture.route);
            writeln!(out, "      s{index}{spot:?}[\"{name}\"]")?;
        }
        if zone == Zone::User
            && let Some(calls) = calls(picture)
        {
            writeln!(out, "      s{index}Calls([\"{}\"])", escaped(&calls))?;
        }
        writeln!(out, "    end")?;
    }
    for arrow in &picture.arrows {
        let Arrow { from, to, .. } = arrow;
        let label = words::labels(arrow).into_iter().next().unwrap_or_default();
        let line = line(arrow.kind);
        writeln!(out, "    s{index}{from:?} {line}|\"{}\"| s{index}{to:?}", escaped(&label))?;
    }
    writeln!(out, "  end")
}

/// Thick, dotted, or neither: it has no double line.
fn line(kind: Kind) -> &'static str {
    match kind {
        Kind::Moved(Mover::Cpu) => "==>",
        Kind::Moved(Mover::Reference) | Kind::Unseen => "-.->",
        Kind::Moved(Mover::Dma | Mover::Cipher) => "-->",
    }
}

/// The calls with the numbers of their switches, or how many there are.
fn calls(picture: &Picture) -> Option<String> {
    match &picture.calls {
        Calls::Ordered(names) if names.is_empty() => None,
        Calls::Ordered(names) => {
            let call = |(name, index): (&String, usize)| {
                format!("({}) {} ({})", 2 * index + 1, words::call(name), 2 * index + 2)
            };
            let calls: Vec<_> = names.iter().zip(0..).map(call).collect();
            Some(calls.join(" "))
        }
        Calls::Counted(made) => Some(words::counted(made)),
    }
}

/// A text in quotation marks, without mark-up, HTML and line breaks.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in plain(text).chars() {
        match character {
            '"' => escaped.push_str("#quot;"),
            '<' => escaped.push_str("#lt;"),
            '>' => escaped.push_str("#gt;"),
            '&' => escaped.push_str("#amp;"),
            '#' => escaped.push_str("#35;"),
            '`' => escaped.push_str("#96;"),
            other => escaped.push(other),
        }
    }
    escaped
}
