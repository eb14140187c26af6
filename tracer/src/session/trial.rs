//! What the kernel lets us attach, found out by attaching it. Nothing stays attached.

use std::os::fd::AsFd;

use aya::{
    Btf, Ebpf, EbpfLoader,
    programs::{FEntry, KProbe, PerfEvent},
};

use tracer_common::Layout;

use super::{PROGRAMS, Session, SessionError, attach, chain, refusal};

/// A function every kernel with a network has, and an address to break at.
const FUNCTION: &str = "skb_copy_bits";

/// Whether each way to attach works, or what the kernel said.
#[derive(Clone, Debug)]
pub struct Trial {
    /// kprobes
    pub kprobe: Result<(), String>,
    /// fentry programs
    pub fentry: Result<(), String>,
    /// execute hardware breakpoints
    pub breakpoint: Result<(), String>,
}

impl Trial {
    /// Tries all of them. `address` is that of a kernel function for the breakpoint.
    pub fn run(layout: &Layout, address: Option<u64>) -> Result<Self, SessionError> {
        let mut ebpf = EbpfLoader::new().override_global("LAYOUT", layout, true).load(PROGRAMS)?;
        Ok(Self {
            kprobe: kprobe(&mut ebpf),
            fentry: fentry(&mut ebpf),
            breakpoint: breakpoint(&mut ebpf, address),
        })
    }
}

fn kprobe(ebpf: &mut Ebpf) -> Result<(), String> {
    attach::kprobe_pmu().map_err(|_| "this kernel is built without CONFIG_KPROBES".to_owned())?;
    let program: &mut KProbe =
        Session::program(ebpf, "kprobe_copy_bits").map_err(|error| chain(&error))?;
    program.load().map_err(|error| refusal(&error))?;
    let link = program.attach(FUNCTION, 0).map_err(|error| chain(&error))?;
    program.detach(link).map_err(|error| chain(&error))
}

fn fentry(ebpf: &mut Ebpf) -> Result<(), String> {
    let btf = Btf::from_sys_fs().map_err(|error| chain(&error))?;
    let program: &mut FEntry =
        Session::program(ebpf, "fentry_copy_bits").map_err(|error| chain(&error))?;
    program.load(FUNCTION, &btf).map_err(|error| refusal(&error))?;
    let link = program.attach().map_err(|error| chain(&error))?;
    program.detach(link).map_err(|error| chain(&error))
}

fn breakpoint(ebpf: &mut Ebpf, address: Option<u64>) -> Result<(), String> {
    let address = address.ok_or("the kernel's symbols cannot be read")?;
    let program: &mut PerfEvent =
        Session::program(ebpf, "leaf_breakpoint").map_err(|error| chain(&error))?;
    program.load().map_err(|error| refusal(&error))?;
    let program = program.fd().map_err(|error| chain(&error))?;
    attach::at_breakpoint(program.as_fd(), address, 0).map(drop).map_err(|error| {
        match error.raw_os_error() {
            // A CPU has four, and each use of --verify takes them all.
            Some(libc::ENOSPC) => "all are taken, by a debugger or another --verify".to_owned(),
            _ => error.to_string(),
        }
    })
}
