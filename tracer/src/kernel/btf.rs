//! A reader of the kernel's type information, BTF: field offsets, enumerators, signatures.
//!
//! The format is described in the kernel's `Documentation/bpf/btf.rst`. aya has a reader too, but
//! keeps its lookups to itself. A kernel has 150,000 types and as many names, of which a hundred are of
//! interest: only those are taken down, in one pass over the names and one over the types.

use std::collections::BTreeMap;

use super::wanted::Wanted;

/// The file of the kernel's BTF.
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// The reason why BTF could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// The file ended inside a type, or its header is wrong.
    #[error("not BTF as this program knows it: {0} at byte {1}")]
    Malformed(&'static str, usize),
}

const MAGIC: u16 = 0xeb9f;

const KIND_PTR: u32 = 2;
const KIND_ARRAY: u32 = 3;
const KIND_STRUCT: u32 = 4;
const KIND_UNION: u32 = 5;
const KIND_ENUM: u32 = 6;
const KIND_TYPEDEF: u32 = 8;
const KIND_VOLATILE: u32 = 9;
const KIND_CONST: u32 = 10;
const KIND_RESTRICT: u32 = 11;
const KIND_FUNC: u32 = 12;
const KIND_FUNC_PROTO: u32 = 13;
const KIND_VAR: u32 = 14;
const KIND_DATASEC: u32 = 15;
const KIND_DECL_TAG: u32 = 17;
const KIND_TYPE_TAG: u32 = 18;
const KIND_ENUM64: u32 = 19;
const KIND_INT: u32 = 1;

/// One type: its common header, and the offset of the data after it.
#[derive(Clone, Copy, Debug)]
struct Type {
    name: u32,
    info: u32,
    /// The size, or the id of the type this one refers to.
    size_or_type: u32,
    tail: usize,
}

impl Type {
    fn read(data: &[u8], at: usize) -> Option<Self> {
        Some(Self {
            name: read_u32(data, at)?,
            info: read_u32(data, at + 4)?,
            size_or_type: read_u32(data, at + 8)?,
            tail: at + 12,
        })
    }

    fn kind(self) -> u32 {
        (self.info >> 24) & 0x1f
    }

    fn count(self) -> usize {
        (self.info & 0xffff) as usize
    }

    fn bitfields(self) -> bool {
        self.info >> 31 != 0
    }

    /// Size of an enumerator, if it has any.
    fn enumerator_size(self) -> Option<usize> {
        match self.kind() {
            KIND_ENUM => Some(8),
            KIND_ENUM64 => Some(12),
            _ => None,
        }
    }
}

/// The types of one kernel.
pub struct Btf {
    data: Vec<u8>,
    strings: usize,
    /// The offset of each type, by its id. Type 0 is void.
    types: Vec<u32>,
    /// The ids of the types that have one of the wanted names.
    by_name: BTreeMap<String, Vec<u32>>,
    /// The values of the enumerators that have one.
    enumerators: BTreeMap<String, u32>,
}

impl Btf {
    /// Parses BTF in the format of [`VMLINUX`]. `wanted`: the names of structs, functions, typedefs and
    /// enumerators that will be asked for; others are not found.
    pub fn parse(data: Vec<u8>, wanted: &Wanted) -> Result<Self, BtfError> {
        let u32_at = |at| read_u32(&data, at).ok_or(BtfError::Malformed("truncated header", at));
        if data.get(..2) != Some(&MAGIC.to_le_bytes()[..]) {
            return Err(BtfError::Malformed("wrong magic", 0));
        }
        let header = u32_at(4)? as usize;
        let (start, length) = (header + u32_at(8)? as usize, u32_at(12)? as usize);
        let strings = header + u32_at(16)? as usize;
        let mut btf = Self {
            data,
            strings,
            types: vec![0],
            by_name: BTreeMap::new(),
            enumerators: BTreeMap::new(),
        };
        let names = Names::find(btf.data.get(strings..).unwrap_or_default(), wanted);
        btf.index(start, start + length, &names)?;
        Ok(btf)
    }

    fn index(&mut self, start: usize, end: usize, names: &Names) -> Result<(), BtfError> {
        let mut at = start;
        while at < end {
            let ty = Type::read(&self.data, at).ok_or(BtfError::Malformed("truncated type", at))?;
            let tail = tail_size(ty).ok_or(BtfError::Malformed("unknown kind of type", at))?;
            let id = self.types.len() as u32;
            self.types.push(at as u32);
            at = ty.tail + tail;
            if at > end || at > self.data.len() {
                return Err(BtfError::Malformed("truncated type", ty.tail));
            }
            if names.contains(ty.name) {
                let name = self.string(ty.name).to_owned();
                self.by_name.entry(name).or_default().push(id);
            }
            if let Some(size) = ty.enumerator_size() {
                self.index_enumerators(ty, size, names);
            }
        }
        Ok(())
    }

    fn index_enumerators(&mut self, ty: Type, size: usize, names: &Names) {
        for at in (0..ty.count()).map(|index| ty.tail + index * size) {
            let name = self.u32(at);
            if names.contains(name) {
                let name = self.string(name).to_owned();
                let value = self.u32(at + 4);
                self.enumerators.entry(name).or_insert(value);
            }
        }
    }

    /// Byte offset of a field, named by its path from the struct: `net_device.dev.parent`. Members of
    /// anonymous structs and unions are found as in C.
    pub fn field(&self, path: &str) -> Option<u32> {
        let mut names = path.split('.');
        let mut id = self.named(names.next()?, KIND_STRUCT)?;
        let mut bits = 0;
        for name in names {
            let (offset, member_type) = self.member(self.resolve(id), name)?;
            bits += offset;
            id = member_type;
        }
        Some(bits / 8)
    }

    /// Size of a struct in bytes.
    pub fn size(&self, name: &str) -> Option<u32> {
        let ty = self.ty(self.named(name, KIND_STRUCT)?)?;
        Some(ty.size_or_type)
    }

    /// The value of an enumerator, in any enum.
    pub fn enumerator(&self, name: &str) -> Option<u32> {
        self.enumerators.get(name).copied()
    }

    /// The id of a function, by which fentry names it.
    pub fn function(&self, name: &str) -> Option<u32> {
        self.named(name, KIND_FUNC)
    }

    /// The number of arguments that a raw tracepoint passes.
    pub fn tracepoint_arguments(&self, tracepoint: &str) -> Option<u32> {
        let id = self.named(&tracepoint_type(tracepoint), KIND_TYPEDEF)?;
        let prototype = self.ty(self.resolve(id))?;
        // The first is the tracepoint's private data.
        (prototype.kind() == KIND_FUNC_PROTO).then(|| (prototype.count() as u32).saturating_sub(1))
    }

    /// The index of a function's parameter of this name, from 0.
    pub fn parameter(&self, function: &str, wanted: &str) -> Option<u32> {
        let prototype = self.ty(self.ty(self.function(function)?)?.size_or_type)?;
        let count = if prototype.kind() == KIND_FUNC_PROTO { prototype.count() } else { 0 };
        let name = |index: usize| self.string(self.u32(prototype.tail + index * 8));
        (0..count).find(|index| name(*index) == wanted).map(|index| index as u32)
    }

    fn named(&self, name: &str, kind: u32) -> Option<u32> {
        let ids = self.by_name.get(name)?;
        ids.iter().copied().find(|&id| self.ty(id).is_some_and(|ty| ty.kind() == kind))
    }

    /// A type by its id; none for void.
    fn ty(&self, id: u32) -> Option<Type> {
        let at = *self.types.get(id as usize).filter(|at| **at != 0)?;
        Type::read(&self.data, at as usize)
    }

    /// Follows typedefs, qualifiers and pointers to the type behind them.
    fn resolve(&self, mut id: u32) -> u32 {
        while let Some(ty) = self.ty(id) {
            match ty.kind() {
                KIND_TYPEDEF | KIND_VOLATILE | KIND_CONST | KIND_RESTRICT | KIND_PTR
                | KIND_TYPE_TAG => id = ty.size_or_type,
                _ => break,
            }
        }
        id
    }

    /// Bit offset and type of a struct's member.
    fn member(&self, id: u32, wanted: &str) -> Option<(u32, u32)> {
        let ty = self.ty(id)?;
        if !matches!(ty.kind(), KIND_STRUCT | KIND_UNION) {
            return None;
        }
        (0..ty.count()).map(|index| ty.tail + index * 12).find_map(|at| {
            let (name, member, offset) = (self.u32(at), self.u32(at + 4), self.u32(at + 8));
            let offset = if ty.bitfields() { offset & 0x00ff_ffff } else { offset };
            match self.string(name) {
                found if found == wanted => Some((offset, member)),
                "" => {
                    let (inner, found) = self.member(self.resolve(member), wanted)?;
                    Some((offset + inner, found))
                }
                _ => None,
            }
        })
    }

    fn string(&self, offset: u32) -> &str {
        let bytes = self.data.get(self.strings + offset as usize..).unwrap_or_default();
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(0);
        str::from_utf8(&bytes[..end]).unwrap_or_default()
    }

    /// A word whose presence `parse_types` has checked.
    fn u32(&self, at: usize) -> u32 {
        read_u32(&self.data, at).unwrap_or(0)
    }
}

fn read_u32(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

/// The typedef with a tracepoint's signature.
pub fn tracepoint_type(tracepoint: &str) -> String {
    format!("btf_trace_{tracepoint}")
}

/// The places of some names among the strings: a bit for each byte of them.
struct Names(Vec<u64>);

impl Names {
    fn find(strings: &[u8], wanted: &Wanted) -> Self {
        let mut names = Self(vec![0; strings.len() / 64 + 1]);
        let mut at = 0;
        for string in strings.split(|byte| *byte == 0) {
            if wanted.contains(string) {
                names.0[at / 64] |= 1 << (at % 64);
            }
            at += string.len() + 1;
        }
        names
    }

    fn contains(&self, offset: u32) -> bool {
        let word = self.0.get(offset as usize / 64).copied().unwrap_or(0);
        word >> (offset % 64) & 1 != 0
    }
}

/// The number of bytes that follow a type's header.
fn tail_size(ty: Type) -> Option<usize> {
    let count = ty.count();
    Some(match ty.kind() {
        KIND_INT | KIND_VAR | KIND_DECL_TAG => 4,
        KIND_ARRAY => 12,
        KIND_STRUCT | KIND_UNION | KIND_DATASEC | KIND_ENUM64 => 12 * count,
        KIND_ENUM | KIND_FUNC_PROTO => 8 * count,
        // Pointers, forward declarations, typedefs, qualifiers, functions, floats, type tags.
        2 | 7..=12 | 16 | KIND_TYPE_TAG => 0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds BTF in the kernel's layout.
    #[derive(Default)]
    struct Builder {
        types: Vec<u8>,
        strings: Vec<u8>,
    }

    impl Builder {
        fn string(&mut self, text: &str) -> u32 {
            if self.strings.is_empty() {
                self.strings.push(0);
            }
            if text.is_empty() {
                return 0;
            }
            let at = self.strings.len() as u32;
            self.strings.extend(text.bytes().chain([0]));
            at
        }

        fn ty(&mut self, name: &str, kind: u32, count: u32, size_or_type: u32, tail: &[u32]) {
            let name = self.string(name);
            for word in [name, kind << 24 | count, size_or_type].iter().chain(tail) {
                self.types.extend(word.to_le_bytes());
            }
        }

        fn build(self) -> Vec<u8> {
            let mut data = vec![0x9f, 0xeb, 1, 0];
            let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
            for word in [24, 0, types, types, strings] {
                data.extend(u32::to_le_bytes(word));
            }
            data.extend(self.types);
            data.extend(self.strings);
            data
        }
    }

    fn sample() -> Vec<u8> {
        let mut builder = Builder::default();
        let (a, b, inner, kind) = (
            builder.string("a"),
            builder.string("b"),
            builder.string("inner"),
            builder.string("ITER_BVEC"),
        );
        builder.ty("int", KIND_INT, 0, 4, &[32]); // 1
        builder.ty("", KIND_UNION, 1, 4, &[b, 1, 0]); // 2
        builder.ty("outer", KIND_STRUCT, 3, 12, &[a, 1, 0, 0, 2, 32, inner, 4, 64]); // 3
        builder.ty("inner_t", KIND_TYPEDEF, 0, 5, &[]); // 4
        builder.ty("inner", KIND_STRUCT, 1, 4, &[a, 1, 16]); // 5
        builder.ty("iter_type", KIND_ENUM, 1, 4, &[kind, 2]); // 6
        builder.ty("", KIND_FUNC_PROTO, 2, 1, &[a, 1, b, 1]); // 7
        builder.ty("work", KIND_FUNC, 1, 7, &[]); // 8
        builder.ty("", KIND_PTR, 0, 7, &[]); // 9
        builder.ty("btf_trace_event", KIND_TYPEDEF, 0, 9, &[]); // 10
        builder.build()
    }

    fn parse(data: Vec<u8>) -> Result<Btf, BtfError> {
        let wanted =
            ["outer", "inner", "inner_t", "ITER_BVEC", "work", "btf_trace_event", "nobody"];
        Btf::parse(data, &wanted.into_iter().collect())
    }

    #[test]
    fn finds_what_c_finds() {
        let btf = parse(sample()).unwrap();
        assert_eq!(btf.field("outer.a"), Some(0));
        assert_eq!(btf.field("outer.b"), Some(4), "member of an anonymous union");
        assert_eq!(btf.field("outer.inner.a"), Some(10), "through a typedef");
        assert_eq!(btf.field("outer.c"), None);
        assert_eq!(btf.field("nobody.c"), None);
        assert_eq!((btf.size("outer"), btf.size("inner_t")), (Some(12), None));
        assert_eq!(btf.enumerator("ITER_BVEC"), Some(2));
        assert_eq!(btf.enumerator("ITER_PIPE"), None);
        assert_eq!(btf.function("work"), Some(8));
        assert_eq!(btf.function("outer"), None, "a struct");
        assert_eq!(btf.tracepoint_arguments("event"), Some(1));
        assert_eq!(btf.parameter("work", "b"), Some(1));
        assert_eq!((btf.parameter("work", "c"), btf.parameter("outer", "b")), (None, None));
    }

    #[test]
    fn what_was_not_asked_for_is_not_found() {
        let btf = Btf::parse(sample(), &["inner"].into_iter().collect()).unwrap();
        assert_eq!((btf.size("inner"), btf.size("outer")), (Some(4), None));
    }

    #[test]
    fn refuses_what_is_cut_off() {
        let whole = sample();
        for length in [0, 1, 4, 23, 30, 60] {
            assert!(parse(whole[..length].to_vec()).is_err(), "{length} bytes");
        }
        assert!(parse(b"not at all".to_vec()).is_err());
    }

    proptest::proptest! {
        #[test]
        fn never_panics(noise: Vec<u8>, at in 0usize..200) {
            let mut data = sample();
            let at = at.min(data.len());
            data.splice(at.., noise);
            if let Ok(btf) = parse(data) {
                btf.field("outer.inner.a");
                btf.enumerator("ITER_BVEC");
                btf.function("work");
            }
        }
    }
}
