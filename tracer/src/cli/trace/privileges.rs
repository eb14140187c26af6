//! Dropping root's capabilities once everything is attached: afterwards files, names and symbols are read
//! that others chose.

use rustix::{
    io,
    thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs},
};

/// Tasks still to do, besides counting and naming.
#[derive(Clone, Copy, Debug, Default)]
pub struct Needs {
    /// Functions of the kernel must be named.
    pub stacks: bool,
    /// A result goes to a file, possibly in another user's folder.
    pub files: bool,
    /// Signals are passed on to a command, which may run as another user.
    pub command: bool,
    /// Breakpoints are to be set yet.
    pub breakpoints: bool,
}

impl Needs {
    fn capabilities(self) -> CapabilitySet {
        // `/proc/PID/maps`, `root` and `map_files` of other users' processes, and their files.
        let naming = CapabilitySet::SYS_PTRACE
            | CapabilitySet::CHECKPOINT_RESTORE
            | CapabilitySet::DAC_READ_SEARCH;
        // Without it `/proc/kallsyms` has no addresses.
        let stacks = CapabilitySet::SYSLOG;
        // Under sudo a file is named as the calling user.
        let files = CapabilitySet::DAC_OVERRIDE | CapabilitySet::SETUID | CapabilitySet::SETGID;
        let command = CapabilitySet::KILL;
        let breakpoints = CapabilitySet::PERFMON;
        let wanted = [
            (self.stacks, stacks),
            (self.files, files),
            (self.command, command),
            (self.breakpoints, breakpoints),
        ];
        let wanted = wanted.into_iter().filter(|(is_wanted, _)| *is_wanted);
        wanted.fold(naming, |all, (_, some)| all | some)
    }
}

/// Drops all other capabilities, for this thread and its later children, permanently: no program that it
/// runs gets them back. A command that was started before keeps its own. `reads`: whether counters can be
/// read; before Linux 5.19 that needs a capability too.
pub fn give_up(needs: Needs, mut reads: impl FnMut() -> bool) {
    let given_up = attempt(needs, &mut reads);
    if let Err(error) = given_up {
        log::warn!("capabilities that are needed no more are kept: capset says {error}");
    }
}

fn attempt(needs: Needs, reads: &mut impl FnMut() -> bool) -> io::Result<()> {
    let had = capabilities(None)?.permitted;
    let set = |effective: CapabilitySet, permitted: CapabilitySet| {
        let inheritable = CapabilitySet::empty();
        set_capabilities(None, CapabilitySets { effective, permitted, inheritable })
    };
    let mut kept = had & needs.capabilities();
    set(kept, had)?;
    if !reads() {
        kept |= had & CapabilitySet::BPF;
    }
    set(kept, kept)?;
    set_no_new_privs(true)?;
    log::debug!("capabilities kept: {kept:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a separate thread: other tests keep their capabilities.
    fn left_after(needs: Needs, reads: bool) -> CapabilitySet {
        let left = std::thread::spawn(move || {
            give_up(needs, || reads);
            capabilities(None).unwrap().permitted
        });
        left.join().unwrap()
    }

    #[test]
    fn nothing_is_left_that_is_not_needed() {
        let had = capabilities(None).unwrap().permitted;
        let all = Needs { stacks: true, files: true, command: true, breakpoints: true };
        assert_eq!(left_after(Needs::default(), true), had & Needs::default().capabilities());
        assert_eq!(left_after(all, true), had & all.capabilities());
        let with_bpf = had & (Needs::default().capabilities() | CapabilitySet::BPF);
        assert_eq!(left_after(Needs::default(), false), with_bpf);
        assert_eq!(capabilities(None).unwrap().permitted, had);
    }
}
