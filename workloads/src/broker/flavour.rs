//! What each kind of broker can do.

use tracer_ledger::broker::{Feature, Flavour};

use crate::{Error, Result};

/// Refuses what a flavour cannot do.
pub fn require(flavour: Flavour, feature: Feature) -> Result<()> {
    match flavour.sees_content() {
        true => Ok(()),
        false => Err(Error::NeedsContent { flavour: flavour.name(), what: feature.what() }),
    }
}
