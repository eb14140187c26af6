//! Features of each flavour of broker.

use tracer_ledger::broker::{Feature, Flavour};

use crate::{Error, Result};

/// Refuses a feature that a flavour lacks.
pub fn require(flavour: Flavour, feature: Feature) -> Result<()> {
    match flavour.sees_content() {
        true => Ok(()),
        false => Err(Error::NeedsContent { flavour: flavour.name(), what: feature.what() }),
    }
}
