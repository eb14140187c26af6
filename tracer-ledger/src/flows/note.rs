//! Notes on a row's numbers besides its verdict, which is about copies alone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Kind, Traffic, group::Row, verdict::switches_a_mib};
use crate::{Place, ratio, words::size};

/// The subject of a note, for programs to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NoteCode {
    /// Many mode switches for few bytes.
    ManySmallCalls,
    /// The disk delivered more than the flow: it reads whole pages, and the kernel reads ahead.
    ReadAhead,
}

/// A note besides the verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Note {
    /// For programs.
    pub code: NoteCode,
    /// For people.
    pub text: String,
}

/// Below this many bytes a call, the switch into the kernel and back costs more than the copy. Not a
/// usual size of buffers, pages or files, where one call more or less would decide.
const SMALL: f64 = 3000.0;

/// With fewer calls than this, there is no note on their size.
const MANY: u64 = 100;

/// The row's notes.
pub fn notes(row: &Row) -> Vec<Note> {
    [small_calls(row), read_ahead(row)].into_iter().flatten().collect()
}

/// Bytes read ahead: those that the disk delivered and the flow did not.
pub fn read_ahead_bytes(traffic: &Traffic) -> u64 {
    let from_disk = traffic
        .movements
        .iter()
        .filter(|movement| (movement.from, movement.to) == (Place::Disk, Place::PageCache));
    let given: u64 = from_disk.map(|movement| movement.bytes).sum();
    given.saturating_sub(traffic.payload_bytes)
}

/// Less is the rest of a page.
const MUCH: u64 = 1 << 16;

fn read_ahead(row: &Row) -> Option<Note> {
    let ahead = read_ahead_bytes(&row.traffic);
    (ahead >= MUCH && row.traffic.payload_bytes > 0).then(|| Note {
        code: NoteCode::ReadAhead,
        text: format!("{} more were read from disk, ahead of what was asked for", size(ahead)),
    })
}

fn small_calls(row: &Row) -> Option<Note> {
    let (traffic, calls) = (&row.traffic, row.traffic.syscalls());
    let mean = ratio(traffic.payload_bytes, calls);
    (traffic.payload_bytes > 0 && calls >= MANY && mean < SMALL).then(|| Note {
        code: NoteCode::ManySmallCalls,
        text: format!(
            "many small calls: {calls} of {mean:.0} bytes on average, {:.0} mode switches per MiB{}",
            switches_a_mib(traffic),
            advice(row)
        ),
    })
}

/// Writes from a program's memory can be batched, except its logs. The sizes of files and of received
/// messages are given.
fn advice(row: &Row) -> &'static str {
    let source = row.flow.source.as_ref().map(|source| source.kind);
    match (source, row.flow.destination.kind) {
        (Some(Kind::Memory), Kind::Tcp | Kind::Udp | Kind::Unix | Kind::Pipe) => {
            "; batch what can wait"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::{
        Calls, Endpoint, Ledger, Traffic,
        group::{Per, group},
        tests::{cpu_copy, file, flow, tcp},
    };

    fn of(source: Endpoint, destination: Endpoint, count: u64, size: u64) -> Vec<Note> {
        let payload_bytes = count * size;
        let calls = [("write".to_owned(), Calls { count, bytes: payload_bytes })].into();
        let traffic = Traffic { payload_bytes, calls, ..Traffic::default() };
        notes(&group(&Ledger::from([(flow(source, destination), traffic)]), Per::Path)[0])
    }

    #[test]
    fn small_writes_are_counted_in_switches() {
        let note = &of(Endpoint::memory(), tcp(1), 1024, 1024)[0];
        assert_eq!(note.code, NoteCode::ManySmallCalls);
        let text = "many small calls: 1024 of 1024 bytes on average, 2048 mode \
                    switches per MiB; batch what can wait";
        assert_eq!(note.text, text);
    }

    #[test]
    fn few_calls_or_large_ones_are_no_note() {
        assert_eq!(of(Endpoint::memory(), tcp(1), 99, 1), []);
        assert_eq!(of(file("a"), tcp(1), 1024, 4096), []);
        assert_eq!(of(Endpoint::memory(), tcp(1), 1024, 0), []);
    }

    #[test]
    fn what_was_read_ahead_is_told_apart() {
        let read = |given| {
            let movements = vec![cpu_copy(Place::Disk, Place::PageCache, given)];
            let traffic = Traffic { payload_bytes: 4096, movements, ..Traffic::default() };
            notes(&group(&Ledger::from([(flow(file("a"), tcp(1)), traffic)]), Per::Path)[0])
        };
        assert_eq!(read(8192), []);
        let note = &read(4096 + (1 << 20))[0];
        assert_eq!(note.code, NoteCode::ReadAhead);
        assert!(note.text.starts_with("1 MiB more were read from disk"), "{}", note.text);
    }

    #[test]
    fn a_log_is_not_to_be_batched() {
        let note = &of(Endpoint::memory(), file("/var/log/access.log"), 1024, 128)[0];
        assert!(note.text.ends_with("mode switches per MiB"), "{}", note.text);
    }
}
