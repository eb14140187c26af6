//! The cache of a kernel's facts: reading the whole BTF and symbol table takes longer than everything
//! else before tracing.
//!
//! The file is found by the kernel's build id. It has no absolute addresses, which change with each
//! boot, and no machine code, which depends on the processor: that is read from the running kernel each
//! time, and each call that was found must still be where it was. Where something lies in a module,
//! nothing is kept, and what is kept holds for one set of loaded modules only.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::sites;
use crate::kernel::{Facts, FunctionText, symbols, text::KernelText};

/// Ignored if a user other than root can write here.
const FOLDER: &str = "/var/cache/copytrace";

/// ELF notes of the running kernel.
const NOTES: &str = "/sys/kernel/notes";

/// More than a file ever has, in bytes.
const LONGEST: u64 = 1 << 20;

/// The content of the cache.
#[derive(serde::Serialize, serde::Deserialize)]
struct Kept {
    /// The version; see [`Version`].
    version: Version,
    /// All facts without addresses; symbols are distances from the first byte of the kernel's text.
    facts: Facts,
    callers: Vec<Caller>,
    calls: Vec<Call>,
}

/// The version: a cache with another one is ignored.
#[derive(PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Version {
    /// The version of copytrace, and its catalogue.
    program: String,
    /// Names of the modules that are loaded.
    modules: Vec<String>,
}

/// A function that calls copy routines.
#[derive(serde::Serialize, serde::Deserialize)]
struct Caller {
    /// The caller's name in the catalogue.
    name: String,
    /// The symbol, such as `foo.isra.0`.
    symbol: String,
    /// Distance of its first byte from that of the kernel's text.
    start: u64,
    /// In bytes.
    size: u64,
}

/// A call to a copy routine.
#[derive(serde::Serialize, serde::Deserialize)]
struct Call {
    /// Distance of the instruction from the first byte of the kernel's text.
    at: u64,
    /// The symbol of the routine.
    routine: String,
}

impl Version {
    fn new(catalogue: u64) -> Self {
        let modules = fs::read_to_string("/proc/modules").unwrap_or_default();
        let names = modules.lines().filter_map(|line| line.split(' ').next());
        let mut modules: Vec<_> = names.map(str::to_owned).collect();
        modules.sort();
        Self { program: format!("{} {catalogue:016x}", env!("CARGO_PKG_VERSION")), modules }
    }
}

/// The facts of the running kernel, if they are cached. `catalogue`: a hash of the catalogue.
pub fn recall(catalogue: u64) -> Option<Facts> {
    let path = path()?;
    match read(&path).and_then(|kept| restore(kept, &Version::new(catalogue))) {
        Ok(facts) => Some(facts),
        Err(reason) => {
            log::debug!("{} is of no use: {reason}", path.display());
            None
        }
    }
}

/// Stores the facts of the running kernel. A failure is ignored.
pub fn keep(facts: &Facts, catalogue: u64) {
    let Some(path) = path() else { return };
    let kept = match symbols::text_start() {
        Some(start) => write(&path, &kept(facts, start, Version::new(catalogue))),
        None => return,
    };
    if let Err(error) = kept {
        log::debug!("{} cannot be written: {error}", path.display());
    }
}

fn kept(facts: &Facts, start: u64, version: Version) -> Kept {
    let calls = sites::all(facts).into_iter().map(|site| Call {
        at: site.address.wrapping_sub(start),
        routine: site.routine.name.to_owned(),
    });
    let callers = facts.texts.iter().map(|text| Caller {
        name: text.caller.clone(),
        symbol: text.symbol.clone(),
        start: text.address.wrapping_sub(start),
        size: text.code.len() as u64,
    });
    let symbols = &facts.symbols;
    let symbols = symbols.iter().map(|(name, at)| (name.clone(), at.wrapping_sub(start))).collect();
    Kept {
        version,
        callers: callers.collect(),
        calls: calls.collect(),
        facts: Facts { symbols, texts: Vec::new(), ..facts.clone() },
    }
}

fn restore(kept: Kept, version: &Version) -> Result<Facts, String> {
    if kept.version != *version {
        return Err("it is of another version, or of other modules".to_owned());
    }
    let start = symbols::text_start().ok_or("the kernel does not show where its text begins")?;
    let mut facts = kept.facts;
    for address in facts.symbols.values_mut() {
        *address = address.wrapping_add(start);
    }
    match (texts(&kept.callers, start), &facts.text_error) {
        (Ok(texts), None) => facts.texts = texts,
        (Err(error), Some(_)) => facts.text_error = Some(error),
        _ => return Err("the kernel's text can be read, and could not, or the reverse".to_owned()),
    }
    check(&facts, &kept.calls, start)?;
    Ok(facts)
}

fn texts(callers: &[Caller], start: u64) -> Result<Vec<FunctionText>, String> {
    let kernel = KernelText::open_running().map_err(|error| error.to_string())?;
    let read = |caller: &Caller| {
        let address = caller.start.wrapping_add(start);
        let code = kernel.read(address, caller.size as usize).map_err(|error| error.to_string())?;
        let (name, symbol) = (caller.name.clone(), caller.symbol.clone());
        Ok(FunctionText { caller: name, symbol, address, code })
    };
    callers.iter().map(read).collect()
}

/// Checks that each call is where it was, and that there is no other.
fn check(facts: &Facts, calls: &[Call], start: u64) -> Result<(), String> {
    let found = sites::all(facts).into_iter();
    let found: BTreeMap<u64, &str> = found.map(|site| (site.address, site.routine.name)).collect();
    let kept = calls.iter().map(|call| (call.at.wrapping_add(start), call.routine.as_str()));
    match found == kept.collect() {
        true => Ok(()),
        false => Err("the kernel's text is another".to_owned()),
    }
}

/// The file for the running kernel.
fn path() -> Option<PathBuf> {
    let notes = fs::read(NOTES).ok()?;
    let name: String = build_id(&notes)?.iter().map(|byte| format!("{byte:02x}")).collect();
    Some(Path::new(FOLDER).join(name).with_extension("json"))
}

/// The kernel's build id, among its notes: lengths of name and description, type, name, description.
fn build_id(mut notes: &[u8]) -> Option<&[u8]> {
    const NT_GNU_BUILD_ID: u32 = 3;
    loop {
        let number = |at: usize| Some(u32::from_le_bytes(notes.get(at..at + 4)?.try_into().ok()?));
        let (name, length, ty) = (number(0)? as usize, number(4)? as usize, number(8)?);
        let description = 12 + name.next_multiple_of(4);
        let (found, next) = (description + length, description + length.next_multiple_of(4));
        if ty == NT_GNU_BUILD_ID && notes.get(12..12 + name)? == b"GNU\0" {
            return notes.get(description..found);
        }
        notes = notes.get(next..)?;
    }
}

fn read(path: &Path) -> Result<Kept, String> {
    let said = |error: io::Error| error.to_string();
    let folder = path.parent().unwrap_or(path);
    trusted(&open(folder, libc::O_DIRECTORY).map_err(said)?)?;
    let file = open(path, 0).map_err(said)?;
    trusted(&file)?;
    let mut text = String::new();
    file.take(LONGEST).read_to_string(&mut text).map_err(said)?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

fn open(path: &Path, flags: i32) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(flags | libc::O_NOFOLLOW).open(path)
}

/// Checks that only root can have written it.
fn trusted(file: &File) -> Result<(), String> {
    const OTHERS_WRITE: u32 = 0o022;
    let meta = file.metadata().map_err(|error| error.to_string())?;
    match meta.uid() == 0 && meta.mode() & OTHERS_WRITE == 0 {
        true => Ok(()),
        false => Err("others than root can write it".to_owned()),
    }
}

/// Writes the file atomically.
fn write(path: &Path, kept: &Kept) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let folder = path.parent().unwrap_or(path);
    fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
    trusted(&open(folder, libc::O_DIRECTORY)?).map_err(io::Error::other)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    serde_json::to_writer(&mut file, kept)?;
    file.persist(path).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_id_is_one_note_of_several() {
        let mut notes = Vec::new();
        for (ty, name, description) in
            [(6u32, &b"Linux\0"[..], &b"x"[..]), (3, b"Xen\0", b"no"), (3, b"GNU\0", b"the id")]
        {
            let lengths = [name.len() as u32, description.len() as u32, ty];
            notes.extend(lengths.into_iter().flat_map(u32::to_le_bytes));
            for part in [name, description] {
                notes.extend(part);
                notes.resize(notes.len().next_multiple_of(4), 0);
            }
        }
        assert_eq!(build_id(&notes), Some(&b"the id"[..]));
        assert_eq!(build_id(&notes[..notes.len() - 8]), None);
    }

    #[test]
    fn what_others_can_write_is_not_trusted() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let opened = || open(file.path(), 0).unwrap();
        let permit = |mode| {
            let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
            fs::set_permissions(file.path(), permissions).unwrap();
        };
        permit(0o666);
        assert!(trusted(&opened()).is_err());
        permit(0o644);
        assert_eq!(trusted(&opened()).is_ok(), rustix::process::geteuid().is_root());
    }

    #[test]
    fn what_is_kept_has_no_addresses_and_is_found_again() {
        let facts = crate::witness::recorded("debian-6.12");
        let start = facts.symbols.values().min().copied().unwrap();
        let kept = kept(&facts, start, Version::new(7));
        assert!(kept.calls.len() > 20 && kept.facts.symbols.values().all(|at| *at < 1 << 32));
        check(&facts, &kept.calls, start).unwrap();
        let (_, fewer) = kept.calls.split_last().unwrap();
        assert!(check(&facts, fewer, start).is_err(), "one more call than there was");
        assert!(check(&facts, &kept.calls, start + 1).is_err());
    }
}
