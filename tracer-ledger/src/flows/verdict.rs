//! The verdict on a row's copies, in one line, with advice. Advice is given only where the numbers prove
//! it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Endpoint, Kind, Traffic, balance::At, group::Row};
use crate::{Mover, Place, ratio};

/// The verdicts, for programs to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// No byte reached the destination.
    NoPayload,
    /// A device took the bytes, such as /dev/null; its handling is unknown.
    ToDevice,
    /// A device delivered the bytes, such as /dev/urandom; its handling is unknown.
    FromDevice,
    /// The CPU copied nothing on the way: pages were moved by reference.
    ZeroCopy,
    /// No movement of the bytes was seen.
    Unseen,
    /// A device wrote into the program's memory, past the page cache.
    DirectIo,
    /// `MSG_ZEROCOPY` to a receiver on the same machine: the kernel copied after all.
    FellBackZeroCopyLoopback,
    /// The network device does not gather packets from scattered pages.
    FellBackNoScatterGather,
    /// The program encrypts by itself.
    FellBackTls,
    /// Read into a buffer, and written from it.
    CopiedThroughMemory,
    /// Written from a mapping of the file.
    CopiedFromMapping,
    /// Written from the program's memory.
    CopiedFromMemory,
    /// Read into the program's memory.
    CopiedToMemory,
    /// Copied inside the kernel.
    CopiedInKernel,
}

/// A code, with its evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// For programs.
    pub code: Code,
    /// For people, with a remedy where the numbers prove that it would help.
    pub text: String,
    /// The numbers behind it.
    pub evidence: String,
}

/// Copies of a payload byte below this are headers.
const NEARLY_NONE: f64 = 0.02;
/// The share of the bytes from which on a statement is about all of them.
const MOST: f64 = 0.5;
/// The row's verdict: the first finding that holds.
pub fn verdict(row: &Row) -> Verdict {
    let found = FINDINGS.iter().find_map(|finding| finding(row));
    found.unwrap_or_else(|| copied(row))
}

type Finding = fn(&Row) -> Option<Verdict>;

/// The most specific first.
const FINDINGS: [Finding; 13] = [
    uncounted,
    nothing,
    unseen,
    to_device,
    from_device,
    zero_copy_on_loopback,
    no_scatter_gather,
    tls,
    zero_copy,
    direct,
    through_memory,
    from_mapping,
    to_or_from_memory,
];

fn nothing(row: &Row) -> Option<Verdict> {
    (row.traffic.payload_bytes == 0).then(|| Verdict {
        code: Code::NoPayload,
        text: "no payload arrived".into(),
        evidence: match row.traffic.syscalls() {
            1 => "1 system call returned no bytes".to_owned(),
            calls => format!("{calls} system calls returned no bytes"),
        },
    })
}

/// System calls that return a number of messages, or none of their bytes.
pub const UNCOUNTED: [&str; 4] = ["sendmmsg", "recvmmsg", "io_submit", "io_uring_enter"];

fn uncounted(row: &Row) -> Option<Verdict> {
    let calls = &row.traffic.calls;
    let (name, calls) = UNCOUNTED.iter().find_map(|name| calls.get_key_value(*name))?;
    (row.traffic.payload_bytes == 0).then(|| Verdict {
        code: Code::Unseen,
        text: format!("{name}() does not return bytes: how many it moved is not counted"),
        evidence: format!("{} calls of {name}()", calls.count),
    })
}

/// Whether unseen bytes leave the verdict open. They do not if they are too few to show in a ratio.
pub fn leaves_open(traffic: &Traffic) -> bool {
    is_much(traffic.unseen_bytes(), traffic.payload_bytes)
}

/// Whether a part shows in a ratio to the whole.
pub fn is_much(part: u64, whole: u64) -> bool {
    /// Half of the last digit that is shown.
    const LITTLE: f64 = 0.005;
    ratio(part, whole) >= LITTLE
}

/// The number of calls whose bytes are not counted, by name.
pub fn uncounted_calls<'a>(
    traffic: impl Iterator<Item = &'a Traffic> + Clone,
) -> BTreeMap<String, u64> {
    let calls = |name: &str| {
        let counts = traffic.clone().filter_map(|traffic| traffic.calls.get(name));
        counts.map(|calls| calls.count).sum::<u64>()
    };
    let made = UNCOUNTED.iter().map(|name| ((*name).to_owned(), calls(name)));
    made.filter(|(_, count)| *count > 0).collect()
}

fn unseen(row: &Row) -> Option<Verdict> {
    let traffic = &row.traffic;
    leaves_open(traffic).then(|| Verdict {
        code: Code::Unseen,
        text: format!("not all was seen to move: {}", words_of_unseen(row)),
        evidence: format!("of {} bytes, {}", traffic.payload_bytes, ends_of_unseen(traffic)),
    })
}

/// The unseen bytes at each end.
fn ends_of_unseen(traffic: &Traffic) -> String {
    let ends = [(At::Source, "leave their source"), (At::Destination, "arrive")];
    let missing = ends.map(|(at, what)| (traffic.unseen_at(at), what)).into_iter();
    let missing = missing.filter(|(bytes, _)| *bytes > 0);
    let texts: Vec<_> =
        missing.map(|(bytes, what)| format!("{bytes} were not seen to {what}")).collect();
    texts.join(", ")
}

/// The media at which bytes of a row were not seen, each once.
fn words_of_unseen(row: &Row) -> String {
    let mut reasons: Vec<_> = row.traffic.unseen.iter().map(|unseen| unseen.reason()).collect();
    reasons.dedup();
    reasons.join(", and ")
}

fn to_device(row: &Row) -> Option<Verdict> {
    row.flow.destination.is_device().then(|| Verdict {
        code: Code::ToDevice,
        text: format!("{} before a device took them", copies(row)),
        evidence: by_cpu(row),
    })
}

fn from_device(row: &Row) -> Option<Verdict> {
    let device = row.flow.source.as_ref().is_some_and(Endpoint::is_device);
    (device && is_into_memory(row)).then(|| Verdict {
        code: Code::FromDevice,
        text: format!("{} after a device gave them", copies(row)),
        evidence: by_cpu(row),
    })
}

fn zero_copy_on_loopback(row: &Row) -> Option<Verdict> {
    let traffic = &row.traffic;
    let late = late_copies(traffic);
    let fell_back = mostly(traffic.zero_copy_bytes, traffic.payload_bytes)
        && mostly(late, traffic.zero_copy_bytes)
        && to_nic(traffic) == 0;
    fell_back.then(|| Verdict {
        code: Code::FellBackZeroCopyLoopback,
        text: "fell back: MSG_ZEROCOPY on loopback, where the kernel copies before the receiver \
               gets the pages; plain send() copies as often and has no notifications"
            .into(),
        evidence: format!(
            "{} of {} bytes sent with MSG_ZEROCOPY were copied later by {}",
            late,
            traffic.zero_copy_bytes,
            witness_of(traffic, Place::Socket, Place::Kernel)
        ),
    })
}

fn no_scatter_gather(row: &Row) -> Option<Verdict> {
    let (late, sent) = (late_copies(&row.traffic), to_nic(&row.traffic));
    (mostly(late, sent)).then(|| Verdict {
        code: Code::FellBackNoScatterGather,
        text: format!(
            "fell back: no scatter-gather on the network device, so that every packet is copied \
             once more ({}); turn it on with `ethtool -K DEVICE sg on` where it can",
            copies(row)
        ),
        evidence: format!(
            "{late} of {sent} bytes given to the device were copied by {}",
            witness_of(&row.traffic, Place::Socket, Place::Kernel)
        ),
    })
}

fn tls(row: &Row) -> Option<Verdict> {
    let traffic = &row.traffic;
    mostly(traffic.tls_bytes, traffic.payload_bytes).then(|| Verdict {
        code: Code::FellBackTls,
        text: format!(
            "fell back: TLS in user space: the program encrypts in its own memory, so that \
             sendfile() cannot be used ({} besides); kernel TLS would encrypt on the way",
            copies(row)
        ),
        evidence: format!(
            "{} of {} bytes were written as TLS records",
            traffic.tls_bytes, traffic.payload_bytes
        ),
    })
}

fn zero_copy(row: &Row) -> Option<Verdict> {
    let (traffic, payload) = (&row.traffic, row.traffic.payload_bytes);
    let passed = traffic.passed_on(row.flow.destination.kind);
    let passed_on = cpu_copies(row) < NEARLY_NONE && mostly(passed, payload);
    (!is_into_memory(row) && passed_on).then(|| Verdict {
        code: Code::ZeroCopy,
        text: "zero-copy".into(),
        evidence: format!(
            "{} of {payload} bytes were copied by the CPU, {passed} went by reference",
            traffic.bytes_by(Mover::Cpu)
        ),
    })
}

fn direct(row: &Row) -> Option<Verdict> {
    let direct = moved(&row.traffic, Place::Disk, Place::User);
    (mostly(direct, row.traffic.payload_bytes) && cpu_copies(row) < NEARLY_NONE).then(|| Verdict {
        code: Code::DirectIo,
        text: "direct I/O: the device writes into the program's memory".into(),
        evidence: format!("{direct} bytes were read past the page cache"),
    })
}

fn through_memory(row: &Row) -> Option<Verdict> {
    let traffic = &row.traffic;
    mostly(traffic.linked_bytes, traffic.payload_bytes).then(|| Verdict {
        code: Code::CopiedThroughMemory,
        text: format!(
            "{}: read into a buffer and written out of it{}",
            copies(row),
            without_memory(row)
        ),
        evidence: format!(
            "{} of {} bytes were written out of memory that the source was read into before",
            traffic.linked_bytes, traffic.payload_bytes
        ),
    })
}

fn from_mapping(row: &Row) -> Option<Verdict> {
    let traffic = &row.traffic;
    mostly(traffic.mapped_bytes, traffic.payload_bytes).then(|| Verdict {
        code: Code::CopiedFromMapping,
        text: format!("{}: write() from a mapping{}", copies(row), without_memory(row)),
        evidence: format!(
            "{} of {} bytes were written out of a mapping of the file",
            traffic.mapped_bytes, traffic.payload_bytes
        ),
    })
}

fn to_or_from_memory(row: &Row) -> Option<Verdict> {
    let (code, way) = if is_into_memory(row) {
        (Code::CopiedToMemory, "read into the program's memory")
    } else if row.flow.source.as_ref().is_some_and(|source| source.kind == Kind::Memory) {
        (Code::CopiedFromMemory, "written from the program's memory")
    } else {
        return None;
    };
    Some(Verdict { code, text: format!("{}: {way}", copies(row)), evidence: by_cpu(row) })
}

fn copied(row: &Row) -> Verdict {
    Verdict {
        code: Code::CopiedInKernel,
        text: format!("{}, inside the kernel", copies(row)),
        evidence: by_cpu(row),
    }
}

/// The calls that would pass the pages on instead, from this source to this destination.
fn without_memory(row: &Row) -> &'static str {
    let source = row.flow.source.as_ref().map(|source| source.kind);
    match (source, row.flow.destination.kind) {
        (Some(Kind::File), Kind::Tcp | Kind::Unix) => "; sendfile() would pass the pages on",
        (Some(Kind::File), Kind::Pipe) => "; splice() would pass the pages on",
        (Some(Kind::File), Kind::File) => "; copy_file_range() would save the way through memory",
        (Some(Kind::Tcp), Kind::Tcp) => "; splice() through a pipe would pass the pages on",
        _ => "",
    }
}

fn is_into_memory(row: &Row) -> bool {
    row.flow.destination.kind == Kind::Memory
}

fn by_cpu(row: &Row) -> String {
    let copied = row.traffic.bytes_by(Mover::Cpu);
    format!("{copied} bytes were copied by the CPU for {} that arrived", row.traffic.payload_bytes)
}

fn cpu_copies(row: &Row) -> f64 {
    ratio(row.traffic.bytes_by(Mover::Cpu), row.traffic.payload_bytes)
}

/// `1 CPU copy per byte`
fn copies(row: &Row) -> String {
    let copies = cpu_copies(row);
    let nearest = copies.round();
    if (copies - nearest).abs() < NEARLY_NONE {
        let noun = if nearest == 1.0 { "copy" } else { "copies" };
        format!("{nearest:.0} CPU {noun} per byte")
    } else {
        format!("{copies:.2} CPU copies per byte")
    }
}

/// Mode switches for each MiB that arrived.
pub fn switches_a_mib(traffic: &Traffic) -> f64 {
    ratio(traffic.mode_switches(), traffic.payload_bytes) * f64::from(1 << 20)
}

fn mostly(part: u64, whole: u64) -> bool {
    whole > 0 && ratio(part, whole) >= MOST
}

/// Copies of packets after they were sent.
fn late_copies(traffic: &Traffic) -> u64 {
    let late = traffic.movements.iter().filter(|movement| {
        (movement.from, movement.to, movement.by) == (Place::Socket, Place::Kernel, Mover::Cpu)
    });
    late.map(|movement| movement.bytes).sum()
}

fn to_nic(traffic: &Traffic) -> u64 {
    moved(traffic, Place::Socket, Place::Nic)
}

fn moved(traffic: &Traffic, from: Place, to: Place) -> u64 {
    let same = traffic.movements.iter().filter(|it| (it.from, it.to) == (from, to));
    same.map(|movement| movement.bytes).sum()
}

fn witness_of(traffic: &Traffic, from: Place, to: Place) -> &str {
    let found = traffic.movements.iter().find(|it| (it.from, it.to) == (from, to));
    found.map_or("", |movement| &movement.witness)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Movement,
        flows::{
            Calls, Ledger,
            balance::{Unseen, balance},
            group::{Per, group},
            medium::Medium,
            tests::{cpu_copy, file, flow, tcp},
        },
    };

    const BYTES: u64 = 64 << 20;

    fn sent(movements: Vec<Movement>) -> Traffic {
        let calls = [("write".to_owned(), Calls { count: 1024, bytes: BYTES })].into();
        Traffic { payload_bytes: BYTES, calls, movements, ..Traffic::default() }
    }

    fn of(source: Endpoint, destination: Endpoint, traffic: Traffic) -> Verdict {
        let ledger = Ledger::from([(flow(source, destination), traffic)]);
        verdict(&group(&ledger, Per::Path)[0])
    }

    fn to_device() -> Movement {
        Movement { by: Mover::Dma, ..cpu_copy(Place::Socket, Place::Nic, BYTES) }
    }

    #[test]
    fn pages_passed_on_are_zero_copy() {
        let reference =
            Movement { by: Mover::Reference, ..cpu_copy(Place::PageCache, Place::Socket, BYTES) };
        let verdict = of(file("a"), tcp(1), sent(vec![reference, to_device()]));
        assert_eq!((verdict.code, verdict.text.as_str()), (Code::ZeroCopy, "zero-copy"));
        assert!(verdict.evidence.starts_with("0 of 67108864"), "{}", verdict.evidence);
    }

    #[test]
    fn nothing_seen_is_no_zero_copy() {
        let mut ledger = Ledger::from([(flow(file("a"), file("b")), sent(vec![]))]);
        balance(&mut ledger);
        assert_eq!(verdict(&group(&ledger, Per::Path)[0]).code, Code::Unseen);
        let at = |at, bytes| Unseen {
            at,
            medium: Medium::FileSystem(0x6573_5546),
            direct: false,
            bytes,
        };
        let copies = vec![cpu_copy(Place::User, Place::Socket, BYTES)];
        let mut traffic = Traffic { unseen: vec![at(At::Source, BYTES)], ..sent(copies) };
        let verdict = of(file("a"), tcp(1), traffic.clone());
        assert_eq!(verdict.code, Code::Unseen);
        assert!(verdict.text.ends_with("no witness for FUSE"), "{}", verdict.text);
        traffic.unseen = vec![at(At::Source, BYTES / 1000)];
        assert_ne!(of(file("a"), tcp(1), traffic).code, Code::Unseen, "too little to tell");
    }

    #[test]
    fn calls_that_return_no_bytes_are_not_nothing() {
        let calls = [("sendmmsg".to_owned(), Calls { count: 128, bytes: 0 })].into();
        let traffic = Traffic { calls, ..Traffic::default() };
        let verdict = of(Endpoint::memory(), tcp(1), traffic);
        assert_eq!(
            (verdict.code, verdict.evidence.as_str()),
            (Code::Unseen, "128 calls of sendmmsg()")
        );
    }

    #[test]
    fn a_device_gives_what_it_wants_as_it_takes_it() {
        let random = || Endpoint::new(Kind::Other, "/dev/urandom");
        assert_eq!(of(random(), Endpoint::memory(), sent(vec![])).code, Code::FromDevice);
        assert_eq!(of(Endpoint::memory(), random(), sent(vec![])).code, Code::ToDevice);
    }

    #[test]
    fn two_copies_name_the_buffer_and_what_saves_it() {
        let copies = vec![
            cpu_copy(Place::PageCache, Place::User, BYTES),
            cpu_copy(Place::User, Place::Socket, BYTES),
        ];
        let traffic = Traffic { linked_bytes: BYTES, ..sent(copies) };
        let verdict = of(file("a"), tcp(1), traffic.clone());
        assert_eq!(verdict.code, Code::CopiedThroughMemory);
        assert!(verdict.text.starts_with("2 CPU copies per byte: read into"), "{}", verdict.text);
        assert!(verdict.text.ends_with("sendfile() would pass the pages on"), "{}", verdict.text);
        let verdict = of(Endpoint::new(Kind::Other, "/dev/zero"), tcp(1), traffic);
        assert!(verdict.text.ends_with("written out of it"), "no advice: {}", verdict.text);
    }

    #[test]
    fn a_fall_back_is_told_before_the_copies() {
        let late = || cpu_copy(Place::Socket, Place::Kernel, BYTES);
        let verdict = of(file("a"), tcp(1), sent(vec![late(), to_device()]));
        assert_eq!(verdict.code, Code::FellBackNoScatterGather);
        let zero_copy = Traffic { zero_copy_bytes: BYTES, ..sent(vec![late()]) };
        assert_eq!(of(file("a"), tcp(1), zero_copy).code, Code::FellBackZeroCopyLoopback);
        let copy = cpu_copy(Place::User, Place::Socket, BYTES);
        let tls = Traffic { tls_bytes: BYTES, ..sent(vec![copy]) };
        let verdict = of(Endpoint::memory(), tcp(1), tls);
        assert_eq!(verdict.code, Code::FellBackTls);
        assert!(verdict.text.contains("TLS in user space"), "{}", verdict.text);
    }

    #[test]
    fn copies_are_the_same_whatever_the_size_of_the_calls() {
        let by = |count| {
            let copies = vec![cpu_copy(Place::User, Place::Socket, BYTES)];
            let calls = [("write".to_owned(), Calls { count, bytes: BYTES })].into();
            of(Endpoint::memory(), tcp(1), Traffic { calls, ..sent(copies) })
        };
        assert_eq!(by(BYTES / 2048).code, Code::CopiedFromMemory);
        assert_eq!(by(BYTES / 2048), by(BYTES / 8192));
    }

    #[test]
    fn what_is_received_is_copied_once() {
        let copy = cpu_copy(Place::Socket, Place::User, BYTES);
        let verdict = of(tcp(1), Endpoint::memory(), sent(vec![copy]));
        assert_eq!(verdict.text, "1 CPU copy per byte: read into the program's memory");
    }
}
