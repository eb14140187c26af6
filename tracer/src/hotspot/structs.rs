//! HotSpot's table of its own fields (`VMStructs`), which it exports for debuggers. It is read out of
//! memory that others wrote: whatever is there, reading it ends.

use std::io;

/// Memory by address.
pub trait Memory {
    /// Fills `into` with what begins there.
    fn read(&self, address: u64, into: &mut [u8]) -> io::Result<()>;
}

/// What is told of entries of the table.
#[derive(Clone, Copy, Debug)]
pub struct Layout<T> {
    /// How many bytes an entry has.
    pub stride: T,
    /// Where in it the pointer is to the name of a class.
    pub type_name: T,
    /// And to that of its field.
    pub field_name: T,
    /// Whether it is one for all objects: a 32-bit number.
    pub is_static: T,
    /// The pointer to a static field.
    pub address: T,
}

impl<T: Copy> Layout<T> {
    /// The same of each.
    pub fn map<U>(self, of: impl Fn(T) -> U) -> Layout<U> {
        Layout {
            stride: of(self.stride),
            type_name: of(self.type_name),
            field_name: of(self.field_name),
            is_static: of(self.is_static),
            address: of(self.address),
        }
    }

    /// The same of each, if it is known of all.
    pub fn try_map<U, E>(self, of: impl Fn(T) -> Result<U, E>) -> Result<Layout<U>, E> {
        let Layout { stride, type_name, field_name, is_static, address } = self.map(of);
        Ok(Layout {
            stride: stride?,
            type_name: type_name?,
            field_name: field_name?,
            is_static: is_static?,
            address: address?,
        })
    }
}

/// Addresses of what tells of the table.
#[derive(Clone, Copy, Debug)]
pub struct Symbols {
    /// Of the pointer to it.
    pub table: u64,
    /// Of numbers of 64 bits.
    pub layout: Layout<u64>,
}

/// What is in memory is no such table.
#[derive(Debug, thiserror::Error)]
pub enum Untrue {
    /// There is nothing.
    #[error("its gHotSpotVMStructs points to memory that cannot be read, at {0:#x}")]
    Unreadable(u64),
    /// It lies in a way that none does.
    #[error("its gHotSpotVMStructs makes no sense: entries of {0} bytes")]
    Layout(u64),
    /// It has no end.
    #[error("its gHotSpotVMStructs has more than {MOST} entries")]
    Endless,
}

/// Entries that are read: there are some 3000 in JDK 17.
const MOST: u64 = 1 << 14;
/// The largest entry: it has 48 bytes in every JDK until now.
const LARGEST: u64 = 256;

const CLASS: &[u8] = b"StubRoutines\0";
const FIELD: &[u8] = b"_unsafe_arraycopy\0";

/// Where the field with the stub's address is; nothing if the table does not name it.
pub fn field(memory: &impl Memory, symbols: &Symbols) -> Result<Option<u64>, Untrue> {
    let layout = symbols.layout.try_map(|at| number(memory, at))?;
    check(&layout)?;
    let table = number(memory, symbols.table)?;
    for index in 0..MOST {
        let entry = table.wrapping_add(index * layout.stride);
        let class = number(memory, entry.wrapping_add(layout.type_name))?;
        if class == 0 {
            return Ok(None);
        }
        let is_static = number(memory, entry.wrapping_add(layout.is_static))? as u32 != 0;
        if is_static && is_text(memory, class, CLASS) {
            let name = number(memory, entry.wrapping_add(layout.field_name))?;
            if is_text(memory, name, FIELD) {
                return number(memory, entry.wrapping_add(layout.address)).map(Some);
            }
        }
    }
    Err(Untrue::Endless)
}

fn check(layout: &Layout<u64>) -> Result<(), Untrue> {
    let Layout { stride, type_name, field_name, is_static, address } = *layout;
    let fits = |at: u64| at < stride;
    let all = [type_name, field_name, is_static, address];
    match stride <= LARGEST && all.into_iter().all(fits) {
        true => Ok(()),
        false => Err(Untrue::Layout(stride)),
    }
}

/// A number of 64 bits.
pub fn number(memory: &impl Memory, address: u64) -> Result<u64, Untrue> {
    let mut bytes = [0; 8];
    memory.read(address, &mut bytes).map_err(|_| Untrue::Unreadable(address))?;
    Ok(u64::from_ne_bytes(bytes))
}

/// Whether just this text lies there, with the 0 at its end. What is shorter may lie at the end of what can
/// be read.
fn is_text(memory: &impl Memory, address: u64, text: &[u8]) -> bool {
    let mut bytes = [0; 32];
    let bytes = &mut bytes[..text.len()];
    memory.read(address, bytes).is_ok() && bytes == text
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// Where it begins.
    const BASE: u64 = 0x7f00_0000_0000;

    /// A piece of memory, and nothing around it.
    struct Piece(Vec<u8>);

    impl Memory for Piece {
        fn read(&self, address: u64, into: &mut [u8]) -> io::Result<()> {
            let gone = || io::Error::from(io::ErrorKind::UnexpectedEof);
            let start = address.checked_sub(BASE).ok_or_else(gone)? as usize;
            let end = start.checked_add(into.len()).ok_or_else(gone)?;
            into.copy_from_slice(self.0.get(start..end).ok_or_else(gone)?);
            Ok(())
        }
    }

    impl Piece {
        fn put(&mut self, at: usize, bytes: &[u8]) {
            let end = self.0.len().max(at + bytes.len());
            self.0.resize(end, 0);
            self.0[at..at + bytes.len()].copy_from_slice(bytes);
        }

        fn put_number(&mut self, at: usize, number: u64) {
            self.put(at, &number.to_ne_bytes());
        }
    }

    /// The layout of every JDK until now, from the beginning of memory on.
    const SYMBOLS: Symbols = Symbols {
        table: BASE + 40,
        layout: Layout {
            stride: BASE,
            type_name: BASE + 8,
            field_name: BASE + 16,
            is_static: BASE + 24,
            address: BASE + 32,
        },
    };
    const NUMBERS: [u64; 5] = [48, 0, 8, 24, 40];
    const TABLE: usize = 64;
    const TEXTS: usize = 1024;

    /// A table with these fields, each static or not, whose addresses are 100, 101 and so on.
    fn table(fields: &[(&str, &str, bool)]) -> Piece {
        let mut memory = Piece(Vec::new());
        for (index, number) in NUMBERS.into_iter().enumerate() {
            memory.put_number(8 * index, number);
        }
        memory.put_number(40, BASE + TABLE as u64);
        let mut texts = TEXTS;
        for (index, (class, field, is_static)) in fields.iter().enumerate() {
            let entry = TABLE + 48 * index;
            for (at, text) in [(0, class), (8, field)] {
                memory.put_number(entry + at, BASE + texts as u64);
                memory.put(texts, format!("{text}\0").as_bytes());
                texts += text.len() + 1;
            }
            // What pads the number is no part of it.
            memory.put_number(entry + 24, u64::from(*is_static) | 7 << 32);
            memory.put_number(entry + 40, 100 + index as u64);
        }
        memory.put_number(TABLE + 48 * fields.len(), 0);
        memory
    }

    const WANTED: (&str, &str, bool) = ("StubRoutines", "_unsafe_arraycopy", true);

    #[test]
    fn the_field_is_found_by_its_whole_name() {
        let others = [
            ("Klass", "_name", false),
            ("StubRoutines", "_unsafe_arraycopy", false),
            ("StubRoutines", "_unsafe_arraycopy_uninit", true),
            ("StubRoutines::x86", "_unsafe_arraycopy", true),
        ];
        assert_eq!(field(&table(&others), &SYMBOLS).unwrap(), None);
        let all = [&others[..], &[WANTED]].concat();
        assert_eq!(field(&table(&all), &SYMBOLS).unwrap(), Some(104));
    }

    #[test]
    fn a_name_may_lie_at_the_end_of_memory() {
        let memory = table(&[WANTED, ("A", "b", true)]);
        assert_eq!(field(&memory, &SYMBOLS).unwrap(), Some(100));
        assert_eq!(field(&table(&[("A", "b", true)]), &SYMBOLS).unwrap(), None);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        // Before its constructors have run, all is 0.
        let none = Piece(vec![0; 4096]);
        assert!(matches!(field(&none, &SYMBOLS), Err(Untrue::Layout(0))));
        let mut large = table(&[WANTED]);
        large.put_number(0, LARGEST + 8);
        assert!(matches!(field(&large, &SYMBOLS), Err(Untrue::Layout(_))));
        let mut outside = table(&[WANTED]);
        outside.put_number(32, 48);
        assert!(matches!(field(&outside, &SYMBOLS), Err(Untrue::Layout(48))));
        for table_at in [0, BASE - 1, u64::MAX, u64::MAX - 20] {
            let mut lost = table(&[WANTED]);
            lost.put_number(40, table_at);
            assert!(matches!(field(&lost, &SYMBOLS), Err(Untrue::Unreadable(_))));
        }
    }

    #[test]
    fn a_table_without_an_end_is_given_up() {
        let mut memory = table(&[]);
        // An entry of itself, again and again.
        memory.put_number(0, 8);
        for number in 1..5 {
            memory.put_number(8 * number, 0);
        }
        for entry in 0..=MOST as usize {
            memory.put_number(TABLE + 8 * entry, BASE);
        }
        assert!(matches!(field(&memory, &SYMBOLS), Err(Untrue::Endless)));
    }

    proptest! {
        #[test]
        fn any_memory_can_be_read(
            changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
            numbers in vec((0..40usize, any::<u64>()), 0..3),
        ) {
            let mut memory = table(&[("Klass", "_name", false), WANTED, ("A", "b", true)]);
            for (at, byte) in changes {
                let at = at.index(memory.0.len());
                memory.0[at] = byte;
            }
            for (at, number) in numbers {
                memory.put_number(8 * at, number);
            }
            let _ = field(&memory, &SYMBOLS);
        }
    }
}
