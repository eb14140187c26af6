//! `--no-setup`: whether set-up may change this machine.

use anyhow::{Result, bail};

/// Whether missing programs may be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// Install it.
    Given,
    /// `--no-setup`: report what to do instead.
    Withheld,
}

impl Consent {
    /// From the flag `--no-setup`.
    pub fn unless(no_setup: bool) -> Self {
        if no_setup { Self::Withheld } else { Self::Given }
    }

    /// Fails if installing is forbidden.
    pub fn ask(self, what: &str) -> Result<()> {
        if self == Self::Withheld {
            bail!(
                "{what} is missing, and --no-setup forbids installing it: run `cargo xtask setup`"
            );
        }
        Ok(())
    }
}
