//! The catalogue's questions to a kernel: on its types, and on its symbols.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use super::{
    catalogue::{CALLERS, FUNCTIONS, LEAVES, PREEMPTION, ROUTINES, TASK_ITERATOR, TRACEPOINTS},
    layout::{Question, questions},
};
use crate::kernel::{ALLOCATOR, Facts, FactsError, Wanted, btf, symbols::Symbols};

/// Enumerators of `enum iter_type`, to tell what an iterator iterates over.
pub const ITERATOR_KINDS: &[&str] = &[
    "ITER_UBUF",
    "ITER_IOVEC",
    "ITER_BVEC",
    "ITER_KVEC",
    "ITER_FOLIOQ",
    "ITER_XARRAY",
    "ITER_PIPE",
    "ITER_DISCARD",
];

impl Facts {
    /// With what a kernel's BTF, as a file, says of the `wanted` names.
    pub(super) fn of_types(data: Vec<u8>, wanted: &Wanted) -> Result<Self, FactsError> {
        let mut facts = Self::default();
        facts.ask_types(&btf::Btf::parse(data, wanted)?);
        Ok(facts)
    }

    fn ask_types(&mut self, btf: &btf::Btf) {
        record(&mut self.sizes, &[ALLOCATOR], |name| btf.size(name));
        for question in questions() {
            match question {
                Question::Field(paths) => record(&mut self.fields, paths, |path| btf.field(path)),
                Question::Size(name) => record(&mut self.sizes, &[*name], |name| btf.size(name)),
                Question::Enumerator(name) => {
                    record(&mut self.enumerators, &[*name], |name| btf.enumerator(name));
                }
                Question::Parameter(function, parameter) => {
                    let name = question.name();
                    record(&mut self.parameters, &[&name], |_| btf.parameter(function, parameter));
                }
                Question::LastArgument(..) => {}
            }
        }
        record(&mut self.enumerators, ITERATOR_KINDS, |name| btf.enumerator(name));
        for tracepoint in TRACEPOINTS {
            let names = &[tracepoint.name];
            record(&mut self.tracepoints, names, |name| btf.tracepoint_arguments(name));
        }
        for function in typed_functions() {
            record(&mut self.functions, &[function], |name| btf.function(name));
        }
    }

    /// Adds the addresses of functions and routines.
    pub(super) fn ask_symbols(&mut self, symbols: &Symbols) {
        let address = |name: &str| symbols.address(name);
        for routine in ROUTINES {
            record(&mut self.symbols, &[routine.name], address);
        }
        for function in functions() {
            record(&mut self.symbols, &[function], address);
        }
        for leaf in LEAVES.iter().copied().flatten() {
            record(&mut self.symbols, &[leaf.symbol], address);
        }
    }
}

/// Tells one catalogue from another: by all that it asks.
pub fn digest(types: &Wanted, symbols: &Wanted) -> u64 {
    let mut hasher = DefaultHasher::new();
    questions().for_each(|question| question.name().hash(&mut hasher));
    (types.names(), symbols.names()).hash(&mut hasher);
    hasher.finish()
}

/// The names that are asked of BTF.
pub fn types() -> Wanted {
    let of_struct = |path: &str| path.split('.').next().unwrap_or_default().to_owned();
    let rows = questions().flat_map(|question| match question {
        Question::Field(paths) => paths.iter().map(|path| of_struct(path)).collect(),
        Question::Size(name) | Question::Enumerator(name) | Question::Parameter(name, _) => {
            vec![(*name).to_owned()]
        }
        Question::LastArgument(..) => Vec::new(),
    });
    let owned = |name: &&str| (*name).to_owned();
    rows.chain(ITERATOR_KINDS.iter().map(owned))
        .chain([ALLOCATOR.to_owned()])
        .chain(TRACEPOINTS.iter().map(|tracepoint| btf::tracepoint_type(tracepoint.name)))
        .chain(typed_functions().map(str::to_owned))
        .collect()
}

/// The names that are asked of the symbol table.
pub fn symbols() -> Wanted {
    CALLERS
        .iter()
        .map(|caller| caller.name)
        .chain(ROUTINES.iter().map(|routine| routine.name))
        .chain(functions())
        .chain(LEAVES.iter().copied().flatten().map(|leaf| leaf.symbol))
        .collect()
}

/// The functions that have programs of their own.
fn functions() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().flat_map(|witness| witness.candidates).map(|candidate| candidate.symbol)
}

/// The functions that are asked of BTF.
fn typed_functions() -> impl Iterator<Item = &'static str> {
    functions().chain([TASK_ITERATOR]).chain(PREEMPTION)
}

/// Keeps the answers there are.
fn record<T>(answers: &mut BTreeMap<String, T>, names: &[&str], ask: impl Fn(&str) -> Option<T>) {
    for name in names {
        if let Some(answer) = ask(name) {
            answers.insert((*name).to_owned(), answer);
        }
    }
}
