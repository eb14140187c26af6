//! Asking the running kernel.

use std::fs;

use super::{
    cache,
    callers::{self, Breadth},
    questions,
};
use crate::kernel::{
    Facts, FactsError, btf,
    symbols::{self, Symbols},
};

/// Why there are no addresses.
const HIDDEN: &str = "/proc/kallsyms shows no addresses without CAP_SYSLOG, nor if \
                      kernel.kptr_restrict is 2";

impl Facts {
    /// Asks the running kernel, or recalls what it said before. `types_known` is given what is known
    /// when that of the kernel's types is.
    pub fn gather(breadth: Breadth, types_known: impl FnOnce(&Self)) -> Result<Self, FactsError> {
        let (types, symbols) = (questions::types(), questions::symbols());
        let catalogue = questions::digest(&types, &symbols);
        let recalled = (breadth == Breadth::Catalogue).then(|| cache::recall(catalogue)).flatten();
        if let Some(facts) = recalled {
            types_known(&facts);
            return Ok(facts);
        }
        let data = fs::read(btf::VMLINUX).map_err(FactsError::NoBtf)?;
        let mut facts = Self::of_types(data, &types)?;
        facts.release = rustix::system::uname().release().to_string_lossy().into_owned();
        types_known(&facts);
        let table = fs::read_to_string(symbols::TABLE).unwrap_or_default();
        let symbols = Symbols::parse(table, &symbols);
        if symbols.is_empty() {
            facts.text_error = Some(HIDDEN.to_owned());
            return Ok(facts);
        }
        facts.ask_symbols(&symbols);
        match callers::read(&symbols, breadth) {
            Ok(texts) => facts.texts = texts,
            Err(error) => facts.text_error = Some(error.to_string()),
        }
        if breadth == Breadth::Catalogue && !symbols.is_modular() {
            cache::keep(&facts, catalogue);
        }
        Ok(facts)
    }
}
