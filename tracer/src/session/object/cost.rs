//! A program's cost in the kernel's verifier, by the verifier's own account.

use serde::Serialize;

/// A program's cost in the verifier: instructions and stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// Its name in the object.
    pub program: &'static str,
    /// Instructions that were given to the kernel.
    pub given: u64,
    /// Instructions after the verifier's changes: dead code is removed, helpers are inlined.
    pub kept: u64,
    /// Instructions that the verifier processed, each once per way to it; limited to a million.
    pub processed: u64,
    /// States of registers and stack that it kept.
    pub states: u64,
    /// Bytes of stack of the program, and of each function that it calls; together limited to 512.
    pub stack: Vec<u32>,
}

impl Cost {
    /// Reads the output of `print_verification_stats` of `kernel/bpf/verifier.c`.
    pub(super) fn read(program: &'static str, given: u64, kept: u64, log: &str) -> Option<Self> {
        let after = |words: &str| {
            let (_, rest) = log.split_once(words)?;
            rest.split_whitespace().next()
        };
        let stack = after("stack depth ")?.split('+').map(str::parse);
        Some(Self {
            program,
            given,
            kept,
            processed: after("processed ")?.parse().ok()?,
            states: after("total_states ")?.parse().ok()?,
            stack: stack.collect::<Result<_, _>>().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kernels_write_is_read() {
        let expected = |stack: &[u32]| Cost {
            program: "p",
            given: 9,
            kept: 8,
            processed: 1206,
            states: 61,
            stack: stack.to_vec(),
        };
        let read = |log| Cost::read("p", 9, 8, log);
        let old = "verification time 611 usec\nstack depth 112+0\nprocessed 1206 insns (limit 1000000) \
                   max_states_per_insn 4 total_states 61 peak_states 61 mark_read 8\n";
        assert_eq!(read(old), Some(expected(&[112, 0])));
        let new = "verification time 611 usec\nstack depth 112\nprocessed 1206 insns (limit 1000000) \
                   max_states_per_insn 4 total_states 61 peak_states 61 mark_read 0\n";
        assert_eq!(read(new), Some(expected(&[112])));
        assert_eq!(read(""), None);
    }
}
