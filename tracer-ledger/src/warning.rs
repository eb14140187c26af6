//! Warnings: what to know before trusting the numbers.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words::{joined, size};

/// A warning about the numbers; its text is its `Display`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "code", rename_all = "kebab-case")]
pub enum Warning {
    /// The kernel did not let a probe be attached.
    NotAttached {
        /// To what, and what the kernel said.
        error: String,
    },
    /// The kernel's types do not tell something.
    KernelLacks {
        /// The missing answers.
        reason: String,
        /// The effect on the measurement.
        without: String,
    },
    /// A control group has little memory left for the maps.
    LittleMemory {
        /// Its folder.
        control_group: String,
        /// The rest of the limit.
        left_bytes: u64,
        /// The limit.
        limit_bytes: u64,
        /// The divisor of the room in maps.
        scarcity: u32,
        /// The memory they take at once.
        at_rest_bytes: u64,
        /// The memory they take if they fill up.
        at_most_bytes: u64,
    },
    /// The maps could not be read any more.
    CountingEnded {
        /// The kernel's error.
        error: String,
    },
    /// There were more flows than this program keeps apart.
    FlowsAdded,
    /// There were more stacks than this program keeps apart.
    StacksAdded,
    /// More flows moved at once than the maps have room for.
    InNoFlow {
        /// Payload that is in no flow.
        bytes: u64,
    },
    /// More processes, files or connections lived at once than the maps have room for.
    Unnamed {
        /// Payload of those that could not be named.
        bytes: u64,
    },
    /// Hardware breakpoints saw copies that no call site explains.
    NoCallSite {
        /// The bytes of the routine.
        bytes: u64,
        /// The copy routine.
        routine: String,
        /// The functions that called it most.
        callers: Vec<String>,
    },
    /// Children of the target ran before, and are not traced.
    ChildrenLeftOut {
        /// Their process ids.
        pids: Vec<u32>,
    },
    /// Processes that join a control group are found by polling.
    FoundByLooking {
        /// The interval, in ms.
        every_ms: u64,
        /// The processes found in this way, and the reason.
        who: String,
        /// Why the kernel does not tell.
        reason: String,
    },
    /// Copies inside Java virtual machines are not counted: nobody asked.
    JvmNotSeen {
        /// Their process ids.
        pids: Vec<u32>,
    },
    /// Of the copies inside Java virtual machines one kind is counted.
    JvmSeenInPart {
        /// Their process ids.
        pids: Vec<u32>,
    },
    /// Copies inside a Java virtual machine may have been made before they could be counted.
    JvmSeenLate {
        /// Its process id.
        pid: u32,
        /// For how long the process had run then, in ms.
        after_ms: u64,
    },
    /// Copies inside a Java virtual machine cannot be counted.
    JvmUnseen {
        /// Its process id.
        pid: u32,
        /// Why.
        reason: String,
    },
    /// No Java virtual machine was traced whose copies could be counted.
    NoJvm,
    /// Calls were made whose bytes nobody counts.
    NotCounted {
        /// The number of calls, by name.
        calls: BTreeMap<String, u64>,
    },
    /// Something else was running, too.
    MachineBusy {
        /// Mean length of the run queue in the last minute (`/proc/loadavg`).
        load: f64,
        /// CPUs of the machine.
        cpus: u64,
    },
    /// A file could not be dropped from the page cache.
    StayedCached {
        /// Of what: a strategy, or a broker's delivery.
        what: String,
        /// The bytes that stayed there.
        bytes: u64,
        /// Of so many.
        file_bytes: u64,
        /// The disk and file system, which keep it.
        disk: String,
    },
    /// Payload arrived that no witness saw there.
    NotSeen {
        /// Of what: a strategy, or a broker's delivery.
        what: String,
        /// The unseen bytes.
        bytes: u64,
        /// Of so many.
        payload_bytes: u64,
        /// The place where they should have been seen.
        place: String,
    },
    /// More was seen than arrived.
    SeenTooMuch {
        /// The strategy.
        strategy: String,
        /// By how much.
        bytes: u64,
        /// The place where they were seen.
        place: String,
    },
    /// The kernel's notifications of zero-copy sends differ from the witnesses.
    Contradicted {
        /// The strategy.
        strategy: String,
        /// Sends of which the kernel said that they are done.
        notifications: u64,
        /// Those that it said it copied.
        copied: u64,
        /// The measured CPU copies per byte at the socket.
        copies_per_byte: f64,
    },
    /// Nobody could look at what arrived.
    NotHashed {
        /// The strategy.
        strategy: String,
        /// The bytes that a device counted and dropped.
        bytes: u64,
    },
    /// Not all that was sent was checked.
    NotChecked {
        /// The strategy.
        strategy: String,
        /// The bytes that were checked.
        bytes: u64,
        /// The bytes that were sent.
        sent_bytes: u64,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAttached { error } => {
                write!(f, "{error}: what is copied there is not seen")
            }
            Self::KernelLacks { reason, without } => write!(f, "{reason}: {without}"),
            Self::LittleMemory {
                control_group,
                left_bytes,
                limit_bytes,
                scarcity,
                at_rest_bytes,
                at_most_bytes,
            } => write!(
                f,
                "control group {control_group} has {} left of its {} of memory; eBPF maps have \
                 {scarcity} times less room than usual, and take {} of it at once, and {} if they \
                 fill up: raise its limit, or run copytrace outside of it",
                size(*left_bytes),
                size(*limit_bytes),
                size(*at_rest_bytes),
                size(*at_most_bytes)
            ),
            Self::CountingEnded { error } => {
                write!(f, "counting ended before the traced programs did: {error}")
            }
            Self::FlowsAdded => f.write_str(
                "more flows than can be kept apart: connections, and processes of one name, were \
                 added up",
            ),
            Self::StacksAdded => f.write_str(
                "more stacks than can be kept apart: those of the programs were given up",
            ),
            Self::InNoFlow { bytes } => write!(
                f,
                "{bytes} bytes of payload are in no flow: more flows moved at once than there is \
                 room for, and the rest was added up; trace fewer processes at once"
            ),
            Self::Unnamed { bytes } => write!(
                f,
                "{bytes} bytes of payload are of processes, files or connections that could not \
                 be named: there were more of them at once than there is room for; trace fewer \
                 processes at once"
            ),
            Self::NoCallSite { bytes, routine, callers } => {
                let callers: Vec<_> = callers.iter().map(|name| format!("{name}()")).collect();
                let callers = callers.join(", ");
                let colon = if callers.is_empty() { "" } else { ": " };
                write!(
                    f,
                    "{bytes} bytes went through {routine}() from a place that no witness \
                     covers{colon}{callers}; --all-copy-sites counts them"
                )
            }
            Self::ChildrenLeftOut { pids } => children_left_out(pids, f),
            Self::FoundByLooking { every_ms, who, reason } => write!(
                f,
                "who {who} the control group is found by looking for it every {every_ms} ms, for \
                 {reason}: what is gone sooner is not traced"
            ),
            Self::JvmNotSeen { pids } => {
                write!(f, "copies inside {} are not seen: --jvm-copies counts them", jvms(pids))
            }
            Self::JvmSeenInPart { pids } => write!(
                f,
                "inside {} those copies are counted that HotSpot's unsafe_arraycopy stub makes (for \
                 Unsafe.copyMemory: to, from and between direct buffers and mappings); copies \
                 from array to array are not seen, nor those that its compiler inlined",
                jvms(pids)
            ),
            Self::JvmSeenLate { pid, after_ms } => write!(
                f,
                "copies inside {} are counted from {after_ms} ms after the process began, when \
                 its stub was found: those before are not seen",
                jvms(&[*pid])
            ),
            Self::JvmUnseen { pid, reason } => {
                write!(f, "copies inside {} are not seen: {reason}", jvms(&[*pid]))
            }
            Self::NoJvm => f.write_str(
                "--jvm-copies has nothing to count: no traced process was seen to run Java's HotSpot",
            ),
            Self::NotCounted { calls } => {
                write!(f, "what {} moved is not counted, and in no payload", words_of_calls(calls))
            }
            Self::MachineBusy { load, cpus } => write!(
                f,
                "the machine was busy before the first round (load {load} on {cpus} CPUs): \
                 messages a second tell little, CPU seconds more; run it again when nothing else \
                 runs"
            ),
            Self::StayedCached { what, bytes, file_bytes, disk } => write!(
                f,
                "{what}: {bytes} of {file_bytes} bytes stayed in the page cache: {disk} \
                 does not drop them"
            ),
            Self::NotSeen { what, bytes, payload_bytes, place } => {
                write!(f, "{what}: {bytes} of {payload_bytes} payload bytes were not seen {place}")
            }
            Self::SeenTooMuch { strategy, bytes, place } => {
                write!(f, "{strategy}: {bytes} bytes more than the payload were seen {place}")
            }
            Self::Contradicted { strategy, notifications, copied, copies_per_byte } => write!(
                f,
                "{strategy}: the kernel told the program that it copied {copied} of \
                 {notifications} zero-copy sends, but at the socket {copies_per_byte:.2} copies \
                 per byte by the CPU were seen: trust what was seen"
            ),
            Self::NotHashed { strategy, bytes } => write!(
                f,
                "{strategy}: the device counted {bytes} payload bytes that it was given, and \
                 dropped them: they were not checked by hash"
            ),
            Self::NotChecked { strategy, bytes, sent_bytes } => {
                write!(f, "{strategy}: {bytes} bytes of {sent_bytes} were checked")
            }
        }
    }
}

fn children_left_out(pids: &[u32], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (children, are, them) = match pids.len() {
        1 => ("child", "is", "it"),
        _ => ("children", "are", "them"),
    };
    let count = pids.len();
    let pids: Vec<_> = pids.iter().map(u32::to_string).collect();
    write!(
        f,
        "{count} {children} that ran before {are} not traced; for {them}, too: --comm, or --pid {}",
        pids.join(",")
    )
}

/// `the Java virtual machine of process 7`
fn jvms(pids: &[u32]) -> String {
    let names = joined(pids.iter().map(u32::to_string).collect());
    match pids {
        [_] => format!("the Java virtual machine of process {names}"),
        _ => format!("the Java virtual machines of processes {names}"),
    }
}

/// `2 calls of sendmmsg() and 1 call of io_submit()`
pub fn words_of_calls(calls: &BTreeMap<String, u64>) -> String {
    let text = |(name, count): (&String, &u64)| {
        let noun = if *count == 1 { "call" } else { "calls" };
        format!("{count} {noun} of {name}()")
    };
    joined(calls.iter().map(text).collect())
}

/// A warning as documents have it: its code and numbers, and what it says.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct WarningRow {
    /// The warning itself.
    #[serde(flatten)]
    pub warning: Warning,
    /// The same in words.
    pub text: String,
}

impl From<Warning> for WarningRow {
    fn from(warning: Warning) -> Self {
        Self { text: warning.to_string(), warning }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_the_code_the_numbers_and_the_words() {
        let warning = Warning::ChildrenLeftOut { pids: vec![7, 9] };
        let row = serde_json::to_value(WarningRow::from(warning.clone())).unwrap();
        let text = "2 children that ran before are not traced; for them, too: --comm, or --pid 7,9";
        let expected =
            serde_json::json!({ "code": "children-left-out", "pids": [7, 9], "text": text });
        assert_eq!(row, expected);
        assert_eq!(serde_json::from_value::<Warning>(row).unwrap(), warning);
    }

    #[test]
    fn callers_are_named_where_they_are_known() {
        let of = |callers: &[&str]| {
            let callers = callers.iter().map(ToString::to_string).collect();
            Warning::NoCallSite { bytes: 9, routine: "memcpy".into(), callers }.to_string()
        };
        let known = "9 bytes went through memcpy() from a place that no witness covers: a(), b(); \
                     --all-copy-sites counts them";
        assert_eq!(of(&["a", "b"]), known);
        assert!(of(&[]).contains("covers; --all"));
    }

    #[test]
    fn calls_are_counted_in_words() {
        let calls = |calls: &[(&str, u64)]| {
            words_of_calls(
                &calls.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
            )
        };
        assert_eq!(calls(&[("sendmmsg", 1)]), "1 call of sendmmsg()");
        let two = "1 call of io_submit() and 2 calls of sendmmsg()";
        assert_eq!(calls(&[("sendmmsg", 2), ("io_submit", 1)]), two);
    }
}
