//! What the catalogue needs to know of a kernel.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
};

use super::{
    btf, cache,
    record::Record,
    scan,
    symbols::{self, Symbol, Symbols},
    text,
    wanted::Wanted,
};
use crate::witness::{
    catalogue::{CALLERS, FUNCTIONS, LEAVES, PREEMPTION, ROUTINES, TASK_ITERATOR, TRACEPOINTS},
    layout::{Question, questions},
    sites::FunctionText,
};

/// Answers to every question of the catalogue, of one kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Facts {
    /// `uname -r`
    pub release: String,
    /// Byte offsets by path, such as `sk_buff.len`.
    pub fields: BTreeMap<String, u32>,
    /// Sizes of structs in bytes, by name.
    pub sizes: BTreeMap<String, u32>,
    /// Values by name.
    pub enumerators: BTreeMap<String, u32>,
    /// Ids in BTF by function, by which fentry names them.
    pub functions: BTreeMap<String, u32>,
    /// Number of arguments by raw tracepoint.
    pub tracepoints: BTreeMap<String, u32>,
    /// Indices of parameters by function and name, such as `__zerocopy_sg_from_iter(sk)`.
    pub parameters: BTreeMap<String, u32>,
    /// Addresses of copy routines and probed functions; empty if they are hidden.
    pub symbols: BTreeMap<String, u64>,
    /// Machine code of the callers of copy routines.
    pub texts: Vec<FunctionText>,
    /// Why there are no call sites: the kernel's text is not to be read, or takes no kprobes.
    pub text_error: Option<String>,
}

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

/// A struct of kernels whose maps may allocate entries when they are inserted, by any program: from 6.1 on.
/// Before, tracing programs must not use such maps (`check_map_prog_compatibility`).
const ALLOCATOR: &str = "bpf_mem_alloc";

/// Why there are no addresses.
const HIDDEN: &str = "/proc/kallsyms shows no addresses without CAP_SYSLOG, nor if \
                      kernel.kptr_restrict is 2";

/// Why nothing can be known of this kernel.
#[derive(Debug, thiserror::Error)]
pub enum FactsError {
    /// There is no BTF.
    #[error(
        "cannot read {path}: {0}; copytrace needs a kernel with CONFIG_DEBUG_INFO_BTF=y, as most \
         distributions have",
        path = btf::VMLINUX
    )]
    NoBtf(io::Error),
    /// BTF is of a kind this program does not know.
    #[error("{path}: {0}", path = btf::VMLINUX)]
    Btf(#[from] btf::BtfError),
}

/// Where calls to copy routines are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Breadth {
    /// In the callers of the catalogue.
    #[default]
    Catalogue,
    /// In all of the kernel's text, and its modules'.
    Everywhere,
}

/// When the entries of maps are allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocation {
    /// As they are inserted.
    OnDemand,
    /// All with the map.
    Beforehand,
}

impl Facts {
    /// Asks the running kernel, or recalls what it said before. `types_known` is given what is known
    /// when that of the kernel's types is.
    pub fn gather(breadth: Breadth, types_known: impl FnOnce(&Self)) -> Result<Self, FactsError> {
        let (types, symbols) = (wanted_types(), wanted_symbols());
        let catalogue = digest(&types, &symbols);
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
        match read_texts(&symbols, breadth) {
            Ok(texts) => facts.texts = texts,
            Err(error) => facts.text_error = Some(error.to_string()),
        }
        if breadth == Breadth::Catalogue && !symbols.is_modular() {
            cache::keep(&facts, catalogue);
        }
        Ok(facts)
    }

    /// What a recorded kernel would answer.
    pub(super) fn of_record(record: &Record) -> Result<Self, FactsError> {
        let mut facts = Self::of_types(record.types.clone(), &wanted_types())?;
        facts.release.clone_from(&record.release);
        let symbols = Symbols::parse(record.symbols.clone(), &wanted_symbols());
        facts.ask_symbols(&symbols);
        let is_caller =
            |text: &&FunctionText| CALLERS.iter().any(|caller| caller.name == text.caller);
        facts.texts = record.texts.iter().filter(is_caller).cloned().collect();
        if facts.texts.is_empty() {
            facts.text_error = Some("it was not recorded".to_owned());
        }
        Ok(facts)
    }

    /// The text of everything in the running kernel that calls a copy routine. `table`: its symbols.
    pub(super) fn texts_everywhere(table: String) -> Result<Vec<FunctionText>, text::TextError> {
        read_texts(&Symbols::parse(table, &wanted_symbols()), Breadth::Everywhere)
    }

    fn of_types(data: Vec<u8>, wanted: &Wanted) -> Result<Self, FactsError> {
        let mut facts = Self::default();
        facts.ask_types(&btf::Btf::parse(data, wanted)?);
        Ok(facts)
    }

    /// Gives up on call sites.
    pub fn without_sites(&mut self, reason: String) {
        self.texts.clear();
        self.text_error = Some(reason);
    }

    /// When maps must allocate their entries.
    pub fn allocation(&self) -> Allocation {
        match self.sizes.contains_key(ALLOCATOR) {
            true => Allocation::OnDemand,
            false => Allocation::Beforehand,
        }
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

    fn ask_symbols(&mut self, symbols: &Symbols) {
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
fn digest(types: &Wanted, symbols: &Wanted) -> u64 {
    let mut hasher = DefaultHasher::new();
    questions().for_each(|question| question.name().hash(&mut hasher));
    (types.names(), symbols.names()).hash(&mut hasher);
    hasher.finish()
}

/// The names that are asked of BTF.
fn wanted_types() -> Wanted {
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
fn wanted_symbols() -> Wanted {
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

fn read_texts(symbols: &Symbols, breadth: Breadth) -> Result<Vec<FunctionText>, text::TextError> {
    let kernel = text::KernelText::open_running()?;
    let known = CALLERS
        .iter()
        .flat_map(|caller| symbols.variants(caller.name).into_iter().map(|it| (caller.name, it)));
    let read = |caller: &str, symbol: Symbol| -> Result<FunctionText, text::TextError> {
        Ok(FunctionText {
            caller: caller.to_owned(),
            code: kernel.read(symbol.address, symbol.size as usize)?,
            symbol: symbol.name,
            address: symbol.address,
        })
    };
    let mut texts: Vec<FunctionText> =
        known.map(|(caller, symbol)| read(caller, symbol)).collect::<Result<_, _>>()?;
    if breadth == Breadth::Everywhere {
        let addresses: BTreeSet<u64> = texts.iter().map(|text| text.address).collect();
        let routines = ROUTINES.iter().filter_map(|routine| symbols.address(routine.name));
        let callers = scan::callers(&kernel, symbols, &routines.collect())?;
        for symbol in callers.into_iter().filter(|it| !addresses.contains(&it.address)) {
            // A clone is called as the function is that the compiler made it of.
            let name = symbol.name.split('.').next().unwrap_or_default().to_owned();
            texts.push(read(&name, symbol)?);
        }
    }
    Ok(texts)
}
