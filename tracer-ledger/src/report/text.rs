//! Text in columns of a terminal: how many it takes, where it is broken, and how a name that others chose
//! is cut.

use textwrap::{Options, WordSplitter};
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// A name is never cut to fewer columns: below that a line is rather too long.
pub(super) const LEAST: usize = 9;

/// Columns that the text takes.
pub(super) fn columns(text: &str) -> usize {
    text.width()
}

/// The text in lines of at most `width` columns.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let options = Options::new(width.max(LEAST)).word_splitter(WordSplitter::NoHyphenation);
    textwrap::wrap(text, options).into_iter().map(|line| line.into_owned()).collect()
}

/// Stands for what is cut out of a name.
pub(crate) const CUT: &str = "…";

/// From one name to the other, in at most `width` columns. Each has half of them, and what the other does
/// not need.
pub(super) fn way(from: &str, to: &str, arrow: &str, width: usize, mark: &str) -> String {
    let room = width.saturating_sub(columns(arrow));
    let left = room.saturating_sub(columns(to)).max(room - room / 2);
    let left = left.min(room.saturating_sub(LEAST));
    let from = fitted(from, left, mark);
    let to = fitted(to, room.saturating_sub(columns(&from)), mark);
    format!("{from}{arrow}{to}")
}

/// A name in at most `width` columns. Of a path as many of the last components as there is room for; of
/// another name, or where the last component is too long, the beginning and the end. `mark`: stands for the
/// rest.
pub(crate) fn fitted(name: &str, width: usize, mark: &str) -> String {
    let width = width.max(LEAST);
    if columns(name) <= width {
        return name.to_owned();
    }
    // What stands before a path stays: a number of files, a kind.
    let path = name.find('/').unwrap_or(name.len());
    let (before, path) = name.split_at(path);
    // It may have been cut before.
    let before = before.strip_suffix(CUT).unwrap_or(before);
    let room = width.saturating_sub(columns(before) + columns(mark));
    match last_components(path, room) {
        Some(end) => format!("{before}{mark}{end}"),
        None if before.is_empty() => {
            cut(path.rsplit_once('/').map_or(path, |(_, last)| last), width, mark)
        }
        None => cut(name, width, mark),
    }
}

/// As many of the last components of a path, each with the slash before it, as there is room for.
fn last_components(path: &str, room: usize) -> Option<&str> {
    let fitting = taken(path.chars().rev(), room);
    let (first, _) = path.char_indices().rev().take(fitting).last()?;
    let end = &path[first..];
    end.find('/').map(|at| &end[at..])
}

/// The beginning and the end: what tells names apart is as often there as here.
fn cut(name: &str, width: usize, mark: &str) -> String {
    if columns(name) <= width {
        return name.to_owned();
    }
    let room = width.saturating_sub(columns(mark));
    let end = taken(name.chars().rev(), room / 2);
    let begin = taken(name.chars(), room - room / 2);
    let begin: String = name.chars().take(begin).collect();
    let end: String = name.chars().skip(name.chars().count() - end).collect();
    format!("{begin}{mark}{end}")
}

/// The number of characters that fit.
fn taken(characters: impl Iterator<Item = char>, room: usize) -> usize {
    let mut taken = 0;
    let fits = |character: &char| {
        taken += character.width().unwrap_or_default();
        taken <= room
    };
    characters.take_while(fits).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_full_and_not_fuller() {
        assert_eq!(wrap("one two three", 9), ["one two", "three"]);
        assert_eq!(wrap("one → two → b c", 11), ["one → two →", "b c"]);
        assert_eq!(wrap("unbreakable!", 3), ["unbreakab", "le!"]);
        assert_eq!(wrap("漢字漢字 漢字", 9), ["漢字漢字", "漢字"]);
    }

    #[test]
    fn what_was_cut_before_has_one_mark() {
        assert_eq!(fitted("…/registry/index/cl/ap/clap", 14, CUT), "…/cl/ap/clap");
    }

    #[test]
    fn a_path_is_cut_between_components() {
        let path = "/usr/lib/python3.11/__pycache__/enum.cpython-311.pyc";
        assert_eq!(fitted(path, 60, CUT), path);
        assert_eq!(fitted(path, 40, CUT), "…/__pycache__/enum.cpython-311.pyc");
        assert_eq!(fitted(path, 24, CUT), "…/enum.cpython-311.pyc");
        assert_eq!(fitted("9 files below /srv/www/static", 25, CUT), "9 files below …/static");
        assert_eq!(fitted("1 500 files below /srv/www", 16, CUT), "1 500 fi…srv/www");
    }

    #[test]
    fn names_that_differ_at_either_end_are_told_apart() {
        let modules = ["enum", "types"].map(|name| format!("/usr/{name}.cpython-311.pyc"));
        assert_eq!(
            modules.map(|name| fitted(&name, 15, CUT)),
            ["enum.cp…311.pyc", "types.c…311.pyc"]
        );
        let logs = ["01", "02"].map(|day| fitted(&format!("access-of-2026-11-{day}"), 12, CUT));
        assert_eq!(logs, ["access…11-01", "access…11-02"]);
        assert_eq!(fitted("tcp [2001:db8::1]:65535", 16, CUT), "tcp [200…]:65535");
    }

    #[test]
    fn a_name_can_be_of_any_length_and_width() {
        assert_eq!(columns(&fitted(&"/".repeat(1 << 20), 9, CUT)), 9);
        assert_eq!(fitted(&"漢".repeat(99), 10, CUT), "漢漢…漢漢");
        assert_eq!(fitted("/漢字漢字漢字", 11, CUT), "漢字…漢字");
    }

    #[test]
    fn a_way_is_as_wide_as_there_is_room() {
        assert_eq!(way("/srv/a", "tcp port 80", " → ", 40, CUT), "/srv/a → tcp port 80");
        let long = "/srv/www/static/picture.jpg";
        assert_eq!(way(long, "tcp port 80", " → ", 30, CUT), "…/picture.jpg → tcp port 80");
        assert!(columns(&way(long, long, " → ", 31, CUT)) <= 31);
    }
}
