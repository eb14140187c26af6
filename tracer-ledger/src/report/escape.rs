//! Escaping names of files, programs and functions, which others chose: none of them can control a
//! terminal, a browser or a spreadsheet.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
    io,
};

use serde_json::ser::Formatter;

/// A text in one line. Characters that control a terminal or the order of letters are escaped as in a C
/// string.
pub fn plain(text: &str) -> Cow<'_, str> {
    if is_printable_ascii(text) || !text.contains(is_control) {
        return text.into();
    }
    let mut plain = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        // Writing to a string does not fail.
        let _ = match character {
            '\n' => plain.write_str("\\n"),
            '\t' => plain.write_str("\\t"),
            '\r' => plain.write_str("\\r"),
            it if is_control(it) && it <= '\u{ff}' => write!(plain, "\\x{:02x}", u32::from(it)),
            it if is_control(it) => write!(plain, "\\u{:04x}", u32::from(it)),
            it => plain.write_char(it),
        };
    }
    plain.into()
}

/// Control characters, line separators, and characters that reverse the order of letters (Unicode's
/// bidirectional controls: <https://trojansource.codes>).
fn is_control(character: char) -> bool {
    let reorders = ['\u{061c}', '\u{200e}', '\u{200f}'].contains(&character)
        || ('\u{202a}'..='\u{202e}').contains(&character)
        || ('\u{2066}'..='\u{2069}').contains(&character);
    character.is_control() || ['\u{2028}', '\u{2029}'].contains(&character) || reorders
}

/// A quick test that most names pass.
fn is_printable_ascii(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// A text in a Markdown document, or in a cell of a table there: no mark-up, no HTML.
pub fn markdown(text: &str) -> String {
    const MARKS: &str = "\\`*_[]<>|~&";
    let mut escaped = String::with_capacity(text.len());
    for character in plain(text).chars() {
        if MARKS.contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// A text in a page or a picture, HTML or SVG: no mark-up, and well-formed XML.
pub fn markup(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in plain(text).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // XML has no such characters.
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

/// [`markup`] for templates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Markup;

impl askama::filters::Escaper for Markup {
    fn write_escaped_str<W: fmt::Write>(&self, mut to: W, text: &str) -> fmt::Result {
        to.write_str(&markup(text))
    }
}

/// A text in a cell of a spreadsheet: no formula
/// (<https://owasp.org/www-community/attacks/CSV_Injection>).
pub fn cell(text: &str) -> Cow<'_, str> {
    let plain = plain(text);
    if plain.starts_with(['=', '+', '-', '@']) { format!("'{plain}").into() } else { plain }
}

/// JSON without control characters in its strings, whose values are unchanged. `F`: the layout.
#[derive(Default)]
pub struct Json<F>(F);

impl<F: Formatter> Formatter for Json<F> {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if is_printable_ascii(fragment) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut units = [0; 2];
        for part in fragment.split_inclusive(is_control) {
            let last = part.chars().next_back().filter(|last| is_control(*last));
            writer.write_all(part.trim_end_matches(is_control).as_bytes())?;
            for unit in last.into_iter().flat_map(|last| last.encode_utf16(&mut units).to_vec()) {
                write!(writer, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_controls_a_terminal_is_written_out() {
        assert_eq!(plain("/srv/naïve file"), "/srv/naïve file");
        assert_eq!(plain("a\x1b[31mb\nc\u{9b}d\u{202e}e"), "a\\x1b[31mb\\nc\\x9bd\\u202ee");
    }

    #[test]
    fn a_name_is_no_markup_and_no_formula() {
        assert_eq!(markdown("a|b<img src=x>_c_"), "a\\|b\\<img src=x\\>\\_c\\_");
        assert_eq!(markup("<a b='\"'>&\u{ffff}\n"), "&lt;a b=&#39;&quot;&#39;&gt;&amp;\u{fffd}\\n");
        assert_eq!(cell("=cmd()"), "'=cmd()");
        assert_eq!(cell("/srv/a=b"), "/srv/a=b");
    }
}
