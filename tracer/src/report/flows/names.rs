//! Names that are too long for their column: what tells them apart is at their end.

use crate::report::wrap::columns;

/// A name is never cut to fewer columns: below that a table is rather too wide.
const LEAST: usize = 9;

/// Columns of a program's name: the kernel keeps 15 bytes of it, each of which may be written out.
const PROGRAM: usize = 60;

/// A program's name, and what stands below it.
pub fn program(text: &str) -> String {
    fitted(text, PROGRAM)
}

/// Each line of the text in at most `width` columns.
pub fn fitted(text: &str, width: usize) -> String {
    let width = width.max(LEAST);
    text.lines().map(|line| in_line(line, width)).collect::<Vec<_>>().join("\n")
}

/// Of a path as many of the last components as there is room for; of another name, or where the last
/// component is too long, the end.
fn in_line(name: &str, width: usize) -> String {
    if columns(name) <= width {
        return name.to_owned();
    }
    // The other end of a connection, and the folder of files, are known by their place.
    let name = ["→ ", "below "].iter().find_map(|lead| name.strip_prefix(lead)).unwrap_or(name);
    if columns(name) <= width {
        return name.to_owned();
    }
    let first = name.char_indices().rev().nth(width - 2).map_or(0, |(at, _)| at);
    let end = &name[first..];
    format!("…{}", end.find('/').map_or(end, |at| &end[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_cut_between_components() {
        let path = "/usr/lib/python3.11/__pycache__/enum.cpython-311.pyc";
        assert_eq!(fitted(path, 60), path);
        assert_eq!(fitted(path, 40), "…/__pycache__/enum.cpython-311.pyc");
        assert_eq!(fitted(path, 24), "…/enum.cpython-311.pyc");
    }

    #[test]
    fn what_has_no_components_is_cut_at_its_beginning() {
        assert_eq!(fitted("/srv/a-very-long-name-of-a-log", 16), "…g-name-of-a-log");
        assert_eq!(
            fitted("tcp\n10.0.0.1:80\n→ 10.0.0.2:40000", 14),
            "tcp\n10.0.0.1:80\n10.0.0.2:40000"
        );
        assert_eq!(fitted("9 files\nbelow /srv/www", 11), "9 files\n/srv/www");
        assert_eq!(fitted("tcp\n[2001:db8::1]:65535", 18), "tcp\n…001:db8::1]:65535");
    }

    #[test]
    fn a_name_can_be_of_any_length() {
        assert_eq!(fitted(&"/".repeat(1 << 20), 9), "…////////");
        assert_eq!(program(&"x".repeat(1 << 20)).chars().count(), PROGRAM);
    }
}
