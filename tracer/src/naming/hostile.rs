//! Hostile names of traced programs, and hostile content of their stacks and files: naming copes with all
//! of it. `PROPTEST_CASES=10000` tries more cases.

use std::io::Write as _;

use proptest::{array, collection::vec, prelude::*, sample::select};
use tracer_common::flow::{self, COMPONENT, DEPTH, Identity, NO_DESCRIPTOR, Object, TracedProcess};

use super::{Code, Names, Symbols};

fn object() -> impl Strategy<Value = Object> {
    use libc::{AF_INET, AF_INET6, AF_UNIX, S_IFCHR, S_IFDIR, S_IFIFO, S_IFREG, S_IFSOCK};
    let modes = [0, S_IFREG, S_IFDIR, S_IFIFO, S_IFSOCK, S_IFCHR].map(|mode| mode as u16);
    let mode = prop_oneof![select(modes.to_vec()), any::<u16>()];
    let families = [AF_INET, AF_INET6, AF_UNIX].map(|family| family as u16);
    let family = prop_oneof![select(families.to_vec()), any::<u16>()];
    let identity = (any::<u64>(), any::<u32>(), any::<u32>(), any::<u32>());
    let socket = (family, 0..5u16, any::<[u16; 2]>(), any::<[[u8; 16]; 2]>());
    let path = vec(vec(any::<u8>(), COMPONENT), DEPTH);
    (identity, mode, socket, 0..2 * DEPTH as u16, path).prop_map(
        |((inode, device, descriptor, holder), mode, socket, components, path)| {
            let (family, kind, [local_port, remote_port], [local, remote]) = socket;
            let mut names = [[0; COMPONENT]; DEPTH];
            for (name, bytes) in names.iter_mut().zip(path) {
                name.copy_from_slice(&bytes);
            }
            Object {
                identity: Identity { inode, address: 0, device, generation: 0, descriptor, holder },
                mode,
                family,
                kind,
                local_port,
                remote_port,
                components,
                pid: 0,
                descriptor: NO_DESCRIPTOR,
                medium: 0x9fa0,
                local,
                remote,
                path: names,
            }
        },
    )
}

fn process() -> impl Strategy<Value = TracedProcess> {
    (any::<u32>(), any::<u32>(), array::uniform16(any::<u8>()))
        .prop_map(|(pid, thread, name)| TracedProcess { pid, thread, owner: 0, name })
}

/// Names of functions, including mangled ones of C++ and Rust: with the types of their arguments, which
/// can be nested.
fn function() -> impl Strategy<Value = Vec<u8>> {
    let mangled =
        ("_(ZN|Z|R|RNv|RI|ZTV)", vec("[A-Za-z_$.]|[0-9]|S[0-9_]|T_|I|E|P|N[0-9][a-z]", 0..80))
            .prop_map(|(start, parts)| start + &parts.concat());
    let nested = ("_(Z1f|ZN|R|RI)", "P|K|S_|I|N|R|T|F|DpT_|X", 1..3000usize)
        .prop_map(|(start, part, times)| start + &part.repeat(times));
    prop_oneof![
        vec(1..=u8::MAX, 1..60),
        mangled.prop_map(String::into_bytes),
        nested.prop_map(String::into_bytes),
    ]
}

/// A file with machine code: one function of this name.
fn elf(function: &[u8]) -> Vec<u8> {
    const HEADER: u64 = 64;
    let (segment, sections) = (HEADER, HEADER + 56);
    let symbols = sections + 4 * 64;
    let names = symbols + 2 * 24;
    let mut file = Vec::new();
    let put = |file: &mut Vec<u8>, fields: &[(u64, usize)]| {
        for (number, size) in fields {
            file.extend(&number.to_le_bytes()[..*size]);
        }
    };
    file.extend(*b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    let (shared, x86_64) = (3, 62);
    put(
        &mut file,
        &[(shared, 2), (x86_64, 2), (1, 4), (0, 8), (segment, 8), (sections, 8), (0, 4)],
    );
    put(&mut file, &[(HEADER, 2), (56, 2), (1, 2), (64, 2), (4, 2), (2, 2)]);
    let (load, executable) = (1, 5);
    put(&mut file, &[(load, 4), (executable, 4)]);
    put(&mut file, &[(0, 8), (0, 8), (0, 8), (1 << 20, 8), (1 << 20, 8), (4096, 8)]);
    let mut section = |name, kind, flags, offset, size, link, info, entry| {
        put(&mut file, &[(name, 4), (kind, 4), (flags, 8), (0, 8), (offset, 8), (size, 8)]);
        put(&mut file, &[(link, 4), (info, 4), (1, 8), (entry, 8)]);
    };
    let (progbits, symtab, strtab) = (1, 2, 3);
    let texts = [b"\0.text\0.symtab\0.strtab\0", function, b"\0"].concat();
    let size = texts.len() as u64;
    section(0, 0, 0, 0, 0, 0, 0, 0);
    section(1, progbits, 6, 0, 1 << 20, 0, 0, 0);
    section(15, strtab, 0, names, size, 0, 0, 0);
    section(7, symtab, 0, symbols, 48, 2, 1, 24);
    put(&mut file, &[(0, 8), (0, 8), (0, 8)]);
    let (at, of_function, text) = (23, 0x12, 1);
    put(&mut file, &[(at, 4), (of_function, 1), (0, 1), (text, 2), (0x1000, 8), (0x100, 8)]);
    file.extend(texts);
    file
}

fn name_in(file: &[u8], place: u64) -> String {
    let mut folder = tempfile::NamedTempFile::new().unwrap();
    folder.write_all(file).unwrap();
    let path = folder.path().to_owned();
    let mut symbols = Symbols::default();
    symbols.mapped(1, Code { start: 0, end: u64::MAX, offset: 0, path, exact: None });
    symbols.program(1, None, &[place]).remove(0).function
}

#[test]
fn a_function_is_found_in_such_a_file() {
    assert_eq!(name_in(&elf(b"serve_all"), 0x1010), "serve_all");
    assert_eq!(name_in(&elf(b"_ZN3foo3barEv"), 0x1010), "foo::bar()");
}

proptest! {
    #[test]
    fn any_object_and_process_has_a_name(object in object(), process in process()) {
        let mut names = Names::new();
        names.learn(vec![(7, process)], vec![(8, object)]);
        let flow = tracer_common::Flow { process: 7, source: flow::MEMORY, destination: 8 };
        let named = names.flow(flow);
        prop_assert!(named.process.name.len() <= 3 * process.name.len());
        prop_assert!(named.destination.name.len() <= 4096);
    }

    #[test]
    fn any_function_has_a_name(function in function()) {
        let name = name_in(&elf(&function), 0x1010);
        prop_assert!(name.len() <= 1 << 20, "{} bytes", name.len());
    }

    #[test]
    fn any_file_can_be_looked_into(
        function in function(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..9),
        place: u64,
    ) {
        let mut file = elf(&function);
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        for place in [0x1010, place] {
            name_in(&file, place);
        }
    }

    #[test]
    fn any_address_is_on_a_stack(
        addresses in vec(prop_oneof![Just(0), Just(1), Just(u64::MAX), any::<u64>()], 0..6),
        [start, end, offset] in any::<[u64; 3]>(),
    ) {
        let mut symbols = Symbols::default();
        let path = "/nonexistent".into();
        symbols.mapped(1, Code { start, end, offset, path, exact: None });
        prop_assert_eq!(symbols.program(1, None, &addresses).len(), addresses.len());
    }
}
