//! The kernel's symbol table, `/proc/kallsyms`.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader},
    ops::Range,
};

use super::wanted::Wanted;

/// The file of the kernel's symbols.
pub const TABLE: &str = "/proc/kallsyms";

/// The first byte of the running kernel's text, near the beginning of the table.
pub fn text_start() -> Option<u64> {
    let table = BufReader::new(File::open(TABLE).ok()?);
    let mut lines = table.lines().map_while(Result::ok);
    lines.find_map(|line| parse_line(&line).filter(|(_, name)| *name == "_stext").map(|it| it.0))
}

/// A function's text: from `address`, `size` bytes long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// The kernel's name, such as `tcp_sendmsg_locked` or `foo.isra.0`.
    pub name: String,
    /// First byte.
    pub address: u64,
    /// Bytes up to the next symbol.
    pub size: u64,
}

/// The text symbols of a kernel and its modules.
#[derive(Debug, Default)]
pub struct Symbols {
    table: String,
    /// By address; two names of one address are adjacent.
    sorted: Vec<(u64, Range<u32>)>,
    /// Those that are looked up by name.
    by_name: BTreeMap<String, Vec<u64>>,
    /// Whether one of those lies in a module.
    modular: bool,
}

impl Symbols {
    /// Reads the text of `/proc/kallsyms`. Lines whose address is hidden (all zeros, as a process without
    /// privileges sees them) are left out. `wanted`: the names, in the source, of functions to look up by
    /// name; others are found by address only.
    pub fn parse(table: String, wanted: &Wanted) -> Self {
        let (mut sorted, mut by_name) = (Vec::new(), BTreeMap::<String, Vec<u64>>::new());
        let mut modular = false;
        for line in table.lines() {
            let Some((address, name)) = parse_line(line) else { continue };
            let start = (name.as_ptr() as usize - table.as_ptr() as usize) as u32;
            sorted.push((address, start..start + name.len() as u32));
            if wanted.contains(in_source(name).as_bytes()) {
                by_name.entry(name.to_owned()).or_default().push(address);
                modular |= line.ends_with(']');
            }
        }
        let mut symbols = Self { table, sorted, by_name, modular };
        symbols.sort();
        symbols
    }

    /// The kernel has them sorted by address already, except for those of its modules.
    fn sort(&mut self) {
        let table = &self.table;
        let name = |range: &Range<u32>| &table[range.start as usize..range.end as usize];
        self.sorted.sort_by(|(a, first), (b, second)| {
            a.cmp(b).then_with(|| name(first).cmp(name(second)))
        });
    }

    fn name(&self, range: &Range<u32>) -> &str {
        &self.table[range.start as usize..range.end as usize]
    }

    /// Whether the table is unreadable: not root, or `kptr_restrict`.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Whether a wanted symbol lies in a module.
    pub fn is_modular(&self) -> bool {
        self.modular
    }

    /// The address of a symbol; of the first, where static functions share a name.
    pub fn address(&self, name: &str) -> Option<u64> {
        self.by_name.get(name)?.first().copied()
    }

    /// All functions that the compiler made of `name` in the source: itself, static functions of the same
    /// name, and clones such as `name.isra.0` or `name.part.0`.
    pub fn variants(&self, name: &str) -> Vec<Symbol> {
        let clones = format!("{name}.");
        self.by_name
            .range(name.to_owned()..)
            .take_while(|(found, _)| found.starts_with(name))
            .filter(|(found, _)| *found == name || found.starts_with(&clones))
            .flat_map(|(found, addresses)| addresses.iter().map(move |&at| (found, at)))
            .map(|(found, address)| Symbol {
                name: found.clone(),
                address,
                size: self.size_at(address),
            })
            .collect()
    }

    /// The function that contains an address.
    pub fn around(&self, address: u64) -> Option<Symbol> {
        let next = self.sorted.partition_point(|(at, _)| *at <= address);
        let (start, _) = self.sorted.get(next.checked_sub(1)?)?;
        // For two names of one address, the first.
        let first = self.sorted.partition_point(|(at, _)| at < start);
        let (start, name) = &self.sorted[first];
        let name = self.name(name).to_owned();
        let symbol = Symbol { name, address: *start, size: self.size_at(*start) };
        (address - start < symbol.size).then_some(symbol)
    }

    /// The ranges of the text: from a first symbol to a last one, split where symbols are further apart
    /// than `gap`. The last symbol of a range is not in it, because its length is unknown.
    pub fn ranges(&self, gap: u64) -> Vec<(u64, u64)> {
        let near = |a: &(u64, Range<u32>), b: &(u64, Range<u32>)| b.0 - a.0 <= gap;
        let pieces = self.sorted.chunk_by(near);
        pieces
            .filter_map(|piece| Some((piece.first()?.0, piece.last()?.0)))
            .filter(|(start, end)| start < end)
            .collect()
    }

    /// Distance to the next symbol at another address.
    fn size_at(&self, address: u64) -> u64 {
        let next = self.sorted.partition_point(|(at, _)| *at <= address);
        self.sorted.get(next).map_or(0, |(at, _)| at - address)
    }
}

/// The name in the source of a clone such as `name.isra.0`.
fn in_source(name: &str) -> &str {
    name.split_once('.').map_or(name, |(name, _)| name)
}

/// `ffffffff81000000 T _text` or `ffffffffc0000000 t function [module]`.
fn parse_line(line: &str) -> Option<(u64, &str)> {
    let mut words = line.split_ascii_whitespace();
    let address = u64::from_str_radix(words.next()?, 16).ok()?;
    let kind = words.next()?;
    let name = words.next()?;
    (address != 0 && matches!(kind, "t" | "T" | "w" | "W")).then_some((address, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
ffffffff81000100 T filemap_read
ffffffff81000040 t simple_copy_to_iter
ffffffff81000040 t an_alias
ffffffff81000300 t filemap_read.cold
ffffffff81000200 T filemap_read_folio
ffffffff82000000 D some_data
0000000000000000 T hidden
ffffffffc0000000 t inside\t[module]
";

    fn parse(table: &str) -> Symbols {
        let wanted = ["filemap_read", "simple_copy_to_iter", "some_data", "inside"];
        Symbols::parse(table.to_owned(), &wanted.into_iter().collect())
    }

    #[test]
    fn sizes_reach_to_the_next_symbol() {
        let symbols = parse(TEXT);
        let variants = symbols.variants("filemap_read");
        let names: Vec<_> = variants.iter().map(|symbol| symbol.name.as_str()).collect();
        assert_eq!(names, ["filemap_read", "filemap_read.cold"]);
        assert_eq!(variants[0].size, 0x100);
        assert_eq!(symbols.variants("simple_copy_to_iter")[0].size, 0xc0);
    }

    #[test]
    fn an_address_belongs_to_the_function_before_it() {
        let symbols = parse(TEXT);
        let name = |address| symbols.around(address).map(|symbol| symbol.name);
        assert_eq!(name(0xffff_ffff_8100_0143).as_deref(), Some("filemap_read"));
        assert_eq!(name(0xffff_ffff_8100_0041).as_deref(), Some("an_alias"));
        assert_eq!(name(0xffff_ffff_8100_0000), None);
    }

    #[test]
    fn the_kernel_and_its_modules_are_pieces_of_their_own() {
        let ranges = parse(TEXT).ranges(1 << 20);
        assert_eq!(ranges, [(0xffff_ffff_8100_0040, 0xffff_ffff_8100_0300)]);
    }

    #[test]
    fn data_and_hidden_symbols_are_left_out() {
        let symbols = parse(TEXT);
        assert_eq!(symbols.address("some_data"), None);
        assert_eq!(symbols.address("hidden"), None);
        assert_eq!(symbols.address("inside"), Some(0xffff_ffff_c000_0000));
        assert!(symbols.is_modular());
        assert!(parse("0000000000000000 T hidden").is_empty());
    }
}
