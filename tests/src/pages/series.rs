//! A series of kernels. The documentation does not name the builds that were tried.

use std::fmt;

use anyhow::{Context as _, Result};

/// A series such as 6.12; older ones are less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series(u16, u16);

impl Series {
    /// The series of these numbers.
    pub const fn new(major: u16, minor: u16) -> Self {
        Self(major, minor)
    }

    /// The series of a release from `uname -r`.
    pub fn of(release: &str) -> Result<Self> {
        let mut numbers = release.split(['.', '-', '+']).map(str::parse);
        let (major, minor) = (numbers.next(), numbers.next());
        let numbers = major.zip(minor).and_then(|(major, minor)| Some((major.ok()?, minor.ok()?)));
        let (major, minor) = numbers.with_context(|| format!("{release:?} is no release"))?;
        Ok(Self(major, minor))
    }
}

impl fmt::Display for Series {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_are_of_a_series() {
        let of = |release| Series::of(release).unwrap();
        assert_eq!(of("6.12.117+deb12-amd64").to_string(), "6.12");
        assert_eq!(of("5.10.0-32-amd64").to_string(), "5.10");
        assert_eq!(of("7.2-rc1").to_string(), "7.2");
        assert!(of("6.1.9") < of("6.12.1"));
        assert!(Series::of("linux").is_err());
    }
}
