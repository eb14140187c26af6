//! A hundred wanted names among hundreds of thousands.

use std::collections::BTreeSet;

/// The wanted names.
pub struct Wanted {
    names: BTreeSet<String>,
    /// By [`glance`]: whether a wanted name has this value.
    glances: Box<[bool]>,
}

impl Wanted {
    /// All of them.
    pub fn names(&self) -> &BTreeSet<String> {
        &self.names
    }

    /// Whether a name is wanted.
    pub fn contains(&self, name: &[u8]) -> bool {
        self.glances[glance(name)]
            && str::from_utf8(name).is_ok_and(|name| self.names.contains(name))
    }
}

impl<T: Into<String>> FromIterator<T> for Wanted {
    fn from_iter<I: IntoIterator<Item = T>>(names: I) -> Self {
        let names: BTreeSet<String> = names.into_iter().map(Into::into).collect();
        let mut glances = vec![false; 1 << 16].into_boxed_slice();
        for name in &names {
            glances[glance(name.as_bytes())] = true;
        }
        Self { names, glances }
    }
}

/// A cheap test that rejects most names: the last letter and the length.
fn glance(name: &[u8]) -> usize {
    usize::from(name.last().copied().unwrap_or(0)) << 8 | name.len() & 0xff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_more_than_what_is_seen_at_a_glance() {
        let wanted: Wanted = ["filemap_read", "x"].into_iter().collect();
        assert!(wanted.contains(b"filemap_read") && wanted.contains(b"x"));
        assert!(
            !wanted.contains(b"somebodyread") && !wanted.contains(b"") && !wanted.contains(b"\xff")
        );
    }
}
