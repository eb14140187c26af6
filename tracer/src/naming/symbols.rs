//! Names of the addresses on stacks: the kernel's by its symbol table, a program's by the files that its
//! machine code was mapped from, even after it has ended.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use blazesym::{
    Pid,
    symbolize::{
        Input, Symbolized, Symbolizer,
        source::{Elf, Kernel, Process, Source},
    },
};
use tracer_ledger::flows::stacks::Frame;

use super::perf_map::PerfMaps;
use crate::mappings::{self, Mapping, mounts};

/// A mapping of machine code: the file, and the addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// First address in the process's memory.
    pub start: u64,
    /// The address after the last.
    pub end: u64,
    /// The offset of the first address in the file, in bytes.
    pub offset: u64,
    /// The file.
    pub path: PathBuf,
    /// A path to exactly the mapped file, if another one may be under its name.
    pub exact: Option<PathBuf>,
}

/// Known functions by address.
pub struct Symbols {
    symbolizer: Symbolizer,
    kernel: HashMap<u64, Frame>,
    /// By file and offset in it.
    files: HashMap<(PathBuf, u64), Frame>,
    /// By process and address: machine code without a file, such as a just-in-time compiler's.
    made: HashMap<(u32, u64), Frame>,
    /// The functions of just-in-time compilers.
    perf_maps: PerfMaps,
    /// Files with machine code that could be opened.
    opened: HashMap<PathBuf, Option<Arc<File>>>,
    /// By the ids processes have in flows.
    processes: BTreeMap<u32, Arc<Vec<Code>>>,
}

/// The number of processes whose mappings are kept: beyond it the oldest are forgotten.
const MOST_PROCESSES: usize = 20_000;
/// Files open at once: a process usually may have a thousand descriptors.
const MOST_FILES: usize = 256;
/// Addresses of each kind that are kept.
const MOST_ADDRESSES: usize = 200_000;

const KERNEL: &str = "kernel";
const UNKNOWN: &str = "[unknown]";

impl Default for Symbols {
    fn default() -> Self {
        Self {
            symbolizer: Symbolizer::builder().enable_code_info(false).build(),
            kernel: HashMap::new(),
            files: HashMap::new(),
            made: HashMap::new(),
            perf_maps: PerfMaps::default(),
            opened: HashMap::new(),
            processes: BTreeMap::new(),
        }
    }
}

impl Symbols {
    /// Adds a mapping of a process.
    pub fn mapped(&mut self, process: u32, code: Code) {
        let known = Arc::make_mut(self.processes.entry(process).or_default());
        known.retain(|other| other.end <= code.start || code.end <= other.start);
        known.push(code);
        while self.processes.len() > MOST_PROCESSES {
            self.processes.pop_first();
        }
    }

    /// A child begins with its parent's mappings.
    pub fn forked(&mut self, process: u32, parent: u32) {
        if let Some(code) = self.processes.get(&parent).cloned() {
            self.processes.insert(process, code);
        }
    }

    /// Reads the mappings of a running process.
    pub fn read(&mut self, process: u32, pid: u32) {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        let elsewhere = mounts(&pid.to_string()) != mounts("self");
        for mapping in Mapping::all(&maps) {
            let is_other = elsewhere || mapping.is_deleted();
            let exact = is_other.then(|| mapping.exact(pid));
            if let Some(code) = code(mapping) {
                self.mapped(process, Code { exact, ..code });
            }
        }
    }

    /// Functions of the kernel, the innermost first.
    pub fn kernel(&mut self, addresses: &[u64]) -> Vec<Frame> {
        make_room(&mut self.kernel);
        let source = Source::Kernel(Kernel { debug_syms: false, ..Kernel::default() });
        let frames = inside(addresses).map(|address| {
            let find = || frame(&self.symbolizer, &source, Input::AbsAddr(&[address]), KERNEL);
            self.kernel.entry(address).or_insert_with(find).clone()
        });
        // Functions of the probing itself are left out.
        frames.filter(|frame| !is_of_probes(&frame.function)).collect()
    }

    /// Functions of a program, the innermost first. `pid`: of the process, while it lives.
    pub fn program(&mut self, process: u32, pid: Option<u32>, addresses: &[u64]) -> Vec<Frame> {
        inside(addresses).map(|address| self.of_program(process, pid, address)).collect()
    }

    fn of_program(&mut self, process: u32, pid: Option<u32>, address: u64) -> Frame {
        make_room(&mut self.files);
        make_room(&mut self.made);
        let code = self.processes.get(&process).cloned().unwrap_or_default();
        let found = code.iter().find(|code| (code.start..code.end).contains(&address));
        let Some(Code { start, offset, path, exact, .. }) = found else {
            return self.of_no_file(process, pid, address);
        };
        let place = offset.saturating_add(address - start);
        let key = (exact.as_ref().unwrap_or(path).clone(), place);
        if let Some(frame) = self.files.get(&key) {
            return frame.clone();
        }
        let module = path.to_string_lossy();
        let frame = match self.open(&key.0) {
            Some(file) => {
                // The open file, whatever is under its name now.
                let open = format!("/proc/self/fd/{}", file.as_raw_fd());
                let source = Source::Elf(Elf { debug_syms: false, ..Elf::new(open) });
                frame(&self.symbolizer, &source, Input::FileOffset(&[place]), &module)
            }
            None => of_file(&module),
        };
        self.files.entry(key).or_insert(frame).clone()
    }

    /// A function without a file: its compiler may have a perf map.
    fn of_no_file(&mut self, process: u32, pid: Option<u32>, address: u64) -> Frame {
        if let Some(frame) = self.made.get(&(process, address)) {
            return frame.clone();
        }
        let found = pid.and_then(|pid| {
            self.perf_maps.function(pid, address).or_else(|| {
                let process =
                    Process { debug_syms: false, perf_map: false, ..Process::new(Pid::from(pid)) };
                name(&self.symbolizer, &Source::Process(process), Input::AbsAddr(&[address]))
            })
        });
        let frame =
            Frame { function: found.unwrap_or_else(|| UNKNOWN.into()), module: String::new() };
        self.made.entry((process, address)).or_insert(frame).clone()
    }

    /// Opens a file once. A special file in its place does not block.
    fn open(&mut self, path: &Path) -> Option<Arc<File>> {
        if self.opened.len() >= MOST_FILES && !self.opened.contains_key(path) {
            self.opened.clear();
        }
        let open = || match mappings::open(path) {
            Ok(file) => Some(Arc::new(file)),
            Err(error) => {
                log::debug!("no symbols of {}: {error}", path.display());
                None
            }
        };
        self.opened.entry(path.to_owned()).or_insert_with(open).clone()
    }
}

/// Addresses inside the calls. All but the innermost are return addresses, which may be in the next
/// function already, or be arbitrary.
fn inside(addresses: &[u64]) -> impl Iterator<Item = u64> + '_ {
    let before = |(index, address): (usize, &u64)| address.saturating_sub(u64::from(index > 0));
    addresses.iter().enumerate().map(before)
}

fn make_room<K, V>(known: &mut HashMap<K, V>) {
    if known.len() > MOST_ADDRESSES {
        known.clear();
    }
}

fn is_of_probes(function: &str) -> bool {
    function.starts_with("bpf_") && (function.contains("trampoline") || function.contains("prog_"))
}

/// The function at one place; if it is unknown, the file in brackets.
fn frame(symbolizer: &Symbolizer, source: &Source, input: Input<&[u64]>, module: &str) -> Frame {
    match name(symbolizer, source, input) {
        Some(function) => Frame { function, module: module.to_owned() },
        None => of_file(module),
    }
}

/// An unknown function of a file.
fn of_file(module: &str) -> Frame {
    let file = Path::new(module).file_name().unwrap_or_default().to_string_lossy();
    Frame { function: format!("[{file}]"), module: module.to_owned() }
}

fn name(symbolizer: &Symbolizer, source: &Source, input: Input<&[u64]>) -> Option<String> {
    match symbolizer.symbolize(source, input) {
        Ok(found) => match found.into_iter().next() {
            Some(Symbolized::Sym(symbol)) => Some(symbol.name.into_owned()),
            _ => None,
        },
        Err(error) => {
            log::debug!("no symbols of {source:?}: {error}");
            None
        }
    }
}

/// A mapping, if it is machine code of a file.
fn code(mapping: Mapping<'_>) -> Option<Code> {
    let Mapping { start, end, offset, is_code, path } = mapping;
    let of_file = is_code && mapping.is_of_file();
    of_file.then(|| Code { start, end, offset, path: path.into(), exact: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_name_the_files_of_machine_code() {
        let line = "7f10c0028000-7f10c017d000 r-xp 00026000 fe:00 1970  /usr/lib/lib c.so.6";
        let path = PathBuf::from("/usr/lib/lib c.so.6");
        let (start, end, offset) = (0x7f10_c002_8000, 0x7f10_c017_d000, 0x26000);
        let code = |line| Mapping::all(line).find_map(code);
        assert_eq!(code(line), Some(Code { start, end, offset, path, exact: None }));
        for other in [
            "7f10c0028000-7f10c017d000 r--p 00026000 fe:00 1970       /usr/lib/libc.so.6",
            "7ffd2d5f6000-7ffd2d5f8000 r-xp 00000000 00:00 0          [vdso]",
            "7ffd2d5f6000-7ffd2d5f8000 r-xp 00000000 00:00 0 ",
            "",
        ] {
            assert_eq!(code(other), None, "{other}");
        }
    }

    #[test]
    fn this_test_finds_itself_by_its_file() {
        let mut symbols = Symbols::default();
        symbols.read(7, std::process::id());
        let address = this_test_finds_itself_by_its_file as fn() as usize as u64;
        let found = symbols.program(7, None, &[address]);
        assert!(found[0].function.contains("this_test_finds_itself_by_its_file"), "{found:?}");
        assert!(found[0].module.contains("tracer"), "{found:?}");
    }

    #[test]
    fn what_is_mapped_over_is_gone_and_children_have_it_too() {
        let mut symbols = Symbols::default();
        let code = |start, path: &str| Code {
            start,
            end: start + 10,
            offset: 0,
            path: path.into(),
            exact: None,
        };
        symbols.mapped(1, code(0, "/no/a"));
        symbols.mapped(1, code(10, "/no/b"));
        symbols.mapped(1, code(5, "/no/c"));
        symbols.forked(2, 1);
        symbols.mapped(2, code(100, "/no/d"));
        let names = |symbols: &mut Symbols, process| -> Vec<String> {
            let at = [5, 16, 101].map(|at| symbols.program(process, None, &[at])[0].clone());
            at.map(|frame| frame.function).into()
        };
        assert_eq!(names(&mut symbols, 1), ["[c]", UNKNOWN, UNKNOWN]);
        assert_eq!(names(&mut symbols, 2), ["[c]", UNKNOWN, "[d]"]);
    }
}
