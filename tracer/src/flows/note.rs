//! What a row's numbers say besides its verdict, which is about copies alone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Kind, group::Row, verdict::switches_a_mib};
use crate::ledger::ratio;

/// What a note is about, for programs to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NoteCode {
    /// Much switching for few bytes.
    ManySmallCalls,
}

/// Something to know besides the verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Note {
    /// For programs.
    pub code: NoteCode,
    /// For people.
    pub text: String,
}

/// Below this many bytes a call, the switch into the kernel and back costs more than the copy. It is
/// no size that buffers, pages or files have, at which one call more or less would decide.
const SMALL: f64 = 3000.0;

/// With fewer calls than this, nothing is said about their size.
const MANY: u64 = 100;

/// The row's notes.
pub fn notes(row: &Row) -> Vec<Note> {
    small_calls(row).into_iter().collect()
}

fn small_calls(row: &Row) -> Option<Note> {
    let (traffic, calls) = (&row.traffic, row.traffic.syscalls());
    let mean = ratio(traffic.payload_bytes, calls);
    (traffic.payload_bytes > 0 && calls >= MANY && mean < SMALL).then(|| Note {
        code: NoteCode::ManySmallCalls,
        text: format!(
            "many small calls: {calls} of {mean:.0} bytes on average, {:.0} mode switches a MiB{}",
            switches_a_mib(traffic),
            advice(row)
        ),
    })
}

/// What a program writes from its memory can wait for more; not what it logs, and files and what
/// others send are as large as they are.
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
        tests::{file, flow, tcp},
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
                    switches a MiB; batch what can wait";
        assert_eq!(note.text, text);
    }

    #[test]
    fn few_calls_or_large_ones_are_no_note() {
        assert_eq!(of(Endpoint::memory(), tcp(1), 99, 1), []);
        assert_eq!(of(file("a"), tcp(1), 1024, 4096), []);
        assert_eq!(of(Endpoint::memory(), tcp(1), 1024, 0), []);
    }

    #[test]
    fn a_log_is_not_to_be_batched() {
        let note = &of(Endpoint::memory(), file("/var/log/access.log"), 1024, 128)[0];
        assert!(note.text.ends_with("mode switches a MiB"), "{}", note.text);
    }
}
