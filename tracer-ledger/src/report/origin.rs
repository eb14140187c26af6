//! The origin of a document: the version of copytrace, the time, the machine, and the command line.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::Fact;

/// What made a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Origin {
    /// copytrace's version.
    pub version: String,
    /// The commit that was checked out when it was built; absent if it was built outside a repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// When measuring began, as RFC 3339 has it, in UTC.
    pub started: String,
    /// The machine's name, as `uname -n` says it.
    pub host: String,
    /// Its processor's name.
    pub processor: String,
    /// The number of CPUs that copytrace could run on.
    pub cpus: u64,
    /// The hypervisor's signature from the processor, such as `KVMKVMKVM`, or `TCGTCGTCGTCG` where every
    /// instruction is emulated; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hypervisor: Option<String>,
    /// The command line; what looks like a secret is masked.
    pub command_line: String,
}

impl Origin {
    /// The same for people.
    pub(super) fn facts(&self) -> Vec<Fact> {
        let Self { version, commit, started, host, processor, cpus, hypervisor, command_line } =
            self;
        let commit = commit.as_ref().map(|commit| format!(" ({commit})")).unwrap_or_default();
        let hypervisor = hypervisor.as_ref().map(|name| format!(", virtual ({name})"));
        let hypervisor = hypervisor.unwrap_or_default();
        // Where copytrace is installed says nothing of the numbers.
        let (program, arguments) = command_line.split_once(' ').unwrap_or((command_line, ""));
        let program = program.rsplit('/').next().unwrap_or(program);
        vec![
            Fact::new("Made by", format!("copytrace {version}{commit}, {started}")),
            Fact::new("Host", format!("{host}: {cpus} × {processor}{hypervisor}")),
            Fact::new("Command", format!("{program} {arguments}").trim_end()),
        ]
    }
}
