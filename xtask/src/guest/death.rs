//! A guest that ended before its command did.

/// Lines of the kernel's log that an error shows.
const LOG_LINES: usize = 25;

/// Flags that are always zero where a 64-bit kernel runs: those that are reserved, and virtual 8086
/// mode (Intel's Software Developer's Manual, volume 1, 3.4.3).
const NEVER_SET: u32 = 0xffc2_8028;

/// The end of a guest, and its reason.
#[derive(Debug)]
pub struct Death {
    what: String,
    log: String,
    impossible_flags: Option<u32>,
}

impl Death {
    /// `what` happened, with the log of the guest's kernel until then.
    pub fn new(what: String, log: &str) -> Self {
        Self {
            what,
            log: crate::command::tail(log, LOG_LINES),
            impossible_flags: impossible_flags(log),
        }
    }

    /// Whether the emulator failed, and not the kernel or a program. Older versions of QEMU may store the
    /// operands of an instruction that faults on memory as the flags.
    pub fn is_of_emulator(&self) -> bool {
        self.impossible_flags.is_some()
    }
}

impl std::fmt::Display for Death {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { what, log, impossible_flags } = self;
        write!(f, "{what}")?;
        if let Some(flags) = impossible_flags {
            write!(
                f,
                " because QEMU failed: its processor had flags that no processor can have \
                 (EFLAGS {flags:08x}), which older versions do at times; try again"
            )?;
        }
        write!(f, "; the last lines of its log:\n{log}")
    }
}

impl std::error::Error for Death {}

/// The kernel's flags when it stopped, if any of them are never set.
fn impossible_flags(log: &str) -> Option<u32> {
    let of_kernel = log.lines().filter(|line| line.contains("RSP: 0018:"));
    of_kernel
        .filter_map(|line| line.split_once("EFLAGS: ")?.1.split(' ').next())
        .filter_map(|flags| u32::from_str_radix(flags, 16).ok())
        .find(|flags| flags & NEVER_SET != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_no_processor_has_are_the_emulators_fault() {
        let log = "[ 1101.331318] RSP: 002b:00007fff69e1efa0 EFLAGS: 00000246 ORIG_RAX: 2c\n\
                   [ 1101.333173] RSP: 0018:ffffc9000110b7b0 EFLAGS: 0f1f1a02\n";
        let death = Death::new("the guest ended".to_owned(), log);
        assert!(death.is_of_emulator());
        assert!(death.to_string().contains("EFLAGS 0f1f1a02"), "{death}");
    }

    #[test]
    fn a_kernel_that_stops_by_itself_is_not() {
        let log = "[    5.1] BUG: kernel NULL pointer dereference, address: 0000000000000008\n\
                   [    5.2] RSP: 0018:ffffc9000110b7b0 EFLAGS: 00010246\n\
                   [    5.3] RSP: 0018:ffffc9000110b7b0 EFLAGS: 00200a97 ORIG_RAX: 000000000000002c\n";
        assert!(!Death::new("the guest ended".to_owned(), log).is_of_emulator());
        assert!(!Death::new("the guest ended".to_owned(), "").is_of_emulator());
    }
}
