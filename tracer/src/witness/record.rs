//! Recording a kernel, and asking a record what the catalogue asks.

use std::fs;

use super::{
    callers::{self, Breadth},
    catalogue::CALLERS,
    questions,
};
use crate::kernel::{
    Facts, FactsError, FunctionText, Record, btf,
    symbols::{self, Symbols},
};

impl Record {
    /// Of the running kernel. Where it hides its symbols or its text, they are not in it.
    pub fn take() -> Result<Self, FactsError> {
        let table = fs::read_to_string(symbols::TABLE).unwrap_or_default();
        let functions = table.lines().filter(|line| is_function(line));
        let functions = functions.flat_map(|line| [line, "\n"]).collect();
        let known = Symbols::parse(table, &questions::symbols());
        let texts = callers::read(&known, Breadth::Everywhere);
        Ok(Self {
            release: rustix::system::uname().release().to_string_lossy().into_owned(),
            types: fs::read(btf::VMLINUX).map_err(FactsError::NoBtf)?,
            symbols: functions,
            texts: texts.unwrap_or_default(),
        })
    }

    /// The catalogue's facts from this record.
    pub fn facts(&self) -> Result<Facts, FactsError> {
        let mut facts = Facts::of_types(self.types.clone(), &questions::types())?;
        facts.release.clone_from(&self.release);
        let symbols = Symbols::parse(self.symbols.clone(), &questions::symbols());
        facts.ask_symbols(&symbols);
        let is_caller =
            |text: &&FunctionText| CALLERS.iter().any(|caller| caller.name == text.caller);
        facts.texts = self.texts.iter().filter(is_caller).cloned().collect();
        if facts.texts.is_empty() {
            facts.text_error = Some("it was not recorded".to_owned());
        }
        Ok(facts)
    }
}

/// Whether a line is of a function of the kernel itself.
fn is_function(line: &str) -> bool {
    let kind = line.split(' ').nth(1).unwrap_or_default();
    matches!(kind, "t" | "T" | "w" | "W") && !line.ends_with(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_told_from_data_and_modules() {
        assert!(is_function("ffffffff81000000 T filemap_read"));
        assert!(!is_function("ffffffff82000000 D init_task"));
        assert!(!is_function("ffffffffc0000000 t tls_push_record\t[tls]"));
    }
}
