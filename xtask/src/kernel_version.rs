//! The kernel of a guest.

use std::fmt;
use std::str::FromStr;

/// The newest build of a kernel with Debian packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelVersion {
    /// Of one series, such as 6.12.
    Series(u16, u16),
    /// Of the newest series.
    Newest,
}

impl KernelVersion {
    /// The default of guests.
    pub const USUAL: Self = Self::Series(6, 12);

    /// The other kernels of the tests.
    pub const OTHERS: [Self; 3] = [Self::Series(5, 10), Self::Series(6, 1), Self::Newest];

    /// A regular expression of the names of its packages.
    pub fn pattern(self) -> String {
        let series = match self {
            Self::Series(major, minor) => format!(r"{major}\.{minor}"),
            Self::Newest => r"[0-9]+\.[0-9]+".to_owned(),
        };
        format!(r"^linux-image-{series}\.[0-9][^/]*-amd64$")
    }
}

impl fmt::Display for KernelVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Series(major, minor) => write!(formatter, "{major}.{minor}"),
            Self::Newest => formatter.write_str("newest"),
        }
    }
}

impl FromStr for KernelVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "newest" {
            return Ok(Self::Newest);
        }
        let numbers = text.split_once('.').and_then(|(major, minor)| {
            Some(Self::Series(major.parse().ok()?, minor.parse().ok()?))
        });
        numbers.ok_or_else(|| "give a series such as 6.12, or `newest`".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_they_are_written() {
        for version in [KernelVersion::Series(5, 10), KernelVersion::USUAL, KernelVersion::Newest] {
            assert_eq!(version.to_string().parse(), Ok(version));
        }
        for wrong in ["", "6", "6.x", "6.12.3", "new"] {
            assert!(wrong.parse::<KernelVersion>().is_err(), "{wrong}");
        }
    }
}
