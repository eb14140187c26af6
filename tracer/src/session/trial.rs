//! The kernel's support of probes, found by attaching programs that do nothing. Nothing stays attached.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::mpsc::{Receiver, sync_channel},
    thread,
};

use aya_obj::generated::{
    bpf_attach_type::{self, BPF_TRACE_FENTRY},
    bpf_attr,
    bpf_prog_type::{
        self, BPF_PROG_TYPE_KPROBE, BPF_PROG_TYPE_PERF_EVENT, BPF_PROG_TYPE_RAW_TRACEPOINT,
        BPF_PROG_TYPE_TRACING,
    },
};

use super::{
    attach::{self, At},
    bpf,
    refusal::Refusal,
};

/// A function every kernel with a network has, and an address to break at.
pub const FUNCTION: &str = "skb_copy_bits";

/// Whether a way to attach works, or the kernel's error.
pub type Answer = Result<(), Refusal>;

/// Whether each way to enter functions works.
#[derive(Clone, Debug)]
pub struct Trial {
    /// eBPF programs at all, at raw tracepoints
    pub tracepoint: Answer,
    /// kprobes
    pub kprobe: Answer,
    /// fentry programs
    pub fentry: Answer,
}

/// A trial under way: detaching waits for the kernel, but the caller need not.
pub struct Trying {
    tracepoint: Answer,
    kprobe: Receiver<Answer>,
    fentry: Receiver<Answer>,
}

impl Trying {
    /// Starts the trial. `function`: the id of [`FUNCTION`] in the kernel's BTF.
    pub fn start(function: Option<u32>) -> Self {
        Self {
            tracepoint: tracepoint(),
            kprobe: answer_of(kprobe),
            fentry: answer_of(move || fentry(function)),
        }
    }

    /// The result.
    pub fn finish(self) -> Trial {
        let answer = |from: Receiver<Answer>| {
            from.recv().unwrap_or_else(|_| Err("it could not be tried".into()))
        };
        Trial {
            tracepoint: self.tracepoint,
            kprobe: answer(self.kprobe),
            fentry: answer(self.fentry),
        }
    }
}

/// The answer as soon as it is known; detaching follows.
fn answer_of(
    attach: impl FnOnce() -> Result<OwnedFd, Refusal> + Send + 'static,
) -> Receiver<Answer> {
    let (tell, answer) = sync_channel(1);
    thread::spawn(move || {
        let (answer, link) = match attach() {
            Ok(link) => (Ok(()), Some(link)),
            Err(reason) => (Err(reason), None),
        };
        // The receiver may have stopped waiting.
        let _ = tell.send(answer);
        drop(link);
    });
    answer
}

fn tracepoint() -> Answer {
    load(BPF_PROG_TYPE_RAW_TRACEPOINT, None).map(drop).map_err(Into::into)
}

fn kprobe() -> Result<OwnedFd, Refusal> {
    attach::pmu("kprobe").map_err(|_| "this kernel is built without CONFIG_KPROBES")?;
    load(BPF_PROG_TYPE_KPROBE, None)
        .and_then(|program| attach::at_function(program.as_fd(), FUNCTION, At::Entry))
        .map_err(reason)
}

/// The kernel's error; where that is too short, the missing capability.
fn reason(error: io::Error) -> Refusal {
    let said = Refusal::from(error);
    match said.errno() {
        Some(libc::EACCES) => said.and(
            "perf_event_open takes CAP_PERFMON, or CAP_SYS_ADMIN if kernel.perf_event_paranoid is above 2",
        ),
        _ => said,
    }
}

fn fentry(function: Option<u32>) -> Result<OwnedFd, Refusal> {
    let function = function.ok_or("the kernel's BTF has no functions")?;
    load(BPF_PROG_TYPE_TRACING, Some((BPF_TRACE_FENTRY, function)))
        .and_then(|program| bpf::attach(program.as_fd(), None))
        .map_err(Into::into)
}

/// Whether there are execute hardware breakpoints to be had in the kernel. `address`: that of [`FUNCTION`].
pub fn breakpoint(address: Option<u64>) -> Answer {
    breakpoint_at(address.ok_or("the kernel's symbols cannot be read")?)
}

/// Whether there are execute hardware breakpoints to be had in programs: of this one, on one of its own
/// functions.
pub fn breakpoint_in_program() -> Answer {
    breakpoint_at(breakpoint_in_program as fn() -> Answer as usize as u64)
}

fn breakpoint_at(address: u64) -> Answer {
    load(BPF_PROG_TYPE_PERF_EVENT, None)
        .and_then(|program| attach::at_breakpoint(program.as_fd(), address, 0))
        .map(drop)
        .map_err(|error| match error.raw_os_error() {
            // A CPU has four, and each use of --verify takes them all.
            Some(libc::ENOSPC) => "all are taken, by a debugger or another copytrace".into(),
            _ => reason(error),
        })
}

/// Loads a program that does nothing; for fentry, of a function.
fn load(ty: bpf_prog_type, function: Option<(bpf_attach_type, u32)>) -> io::Result<OwnedFd> {
    // `r0 = 0; exit`
    const INSTRUCTIONS: [u64; 2] = [0xb7, 0x95];
    // SAFETY: all zeros is valid.
    let mut attr = unsafe { std::mem::zeroed::<bpf_attr>() };
    // SAFETY: these are the fields of this command.
    let load = unsafe { &mut attr.__bindgen_anon_3 };
    load.prog_type = ty as u32;
    load.insns = INSTRUCTIONS.as_ptr() as u64;
    load.insn_cnt = INSTRUCTIONS.len() as u32;
    load.license = c"GPL".as_ptr() as u64;
    if let Some((attach, id)) = function {
        load.expected_attach_type = attach as u32;
        load.attach_btf_id = id;
    }
    // SAFETY: instructions and licence outlive the call, and are as long as said.
    unsafe { bpf::load(&mut attr) }
}
