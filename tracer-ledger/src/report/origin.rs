//! The origin of a document: the version of copytrace, the time, the machine, and the command line.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The origin of a document.
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
