//! Loading a program, for use or for its cost in the verifier.

use std::{
    borrow::Cow,
    ffi::CStr,
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
};

use aya_obj::{
    Function, Program, ProgramSection,
    generated::{
        bpf_attach_type::{self, BPF_TRACE_FENTRY, BPF_TRACE_FEXIT, BPF_TRACE_ITER},
        bpf_attr,
        bpf_prog_type::{
            self, BPF_PROG_TYPE_KPROBE, BPF_PROG_TYPE_PERF_EVENT, BPF_PROG_TYPE_RAW_TRACEPOINT,
            BPF_PROG_TYPE_TRACING,
        },
    },
};

use super::{cost::Cost, setup::Wanted};
use crate::session::{bpf, error::SessionError, misses};

/// A program in the kernel.
pub struct Loaded {
    /// The loaded program.
    pub fd: OwnedFd,
    /// Its section in the object, which names its type.
    pub section: ProgramSection,
}

/// The kernel's type of a program, and of its attachment.
pub fn kind(section: &ProgramSection) -> Option<(bpf_prog_type, Option<bpf_attach_type>)> {
    Some(match section {
        ProgramSection::KProbe | ProgramSection::KRetProbe => (BPF_PROG_TYPE_KPROBE, None),
        ProgramSection::UProbe { .. } => (BPF_PROG_TYPE_KPROBE, None),
        ProgramSection::PerfEvent => (BPF_PROG_TYPE_PERF_EVENT, None),
        ProgramSection::RawTracePoint => (BPF_PROG_TYPE_RAW_TRACEPOINT, None),
        ProgramSection::FEntry { .. } => (BPF_PROG_TYPE_TRACING, Some(BPF_TRACE_FENTRY)),
        ProgramSection::FExit { .. } => (BPF_PROG_TYPE_TRACING, Some(BPF_TRACE_FEXIT)),
        ProgramSection::Iter { .. } => (BPF_PROG_TYPE_TRACING, Some(BPF_TRACE_ITER)),
        _ => return None,
    })
}

/// A program to load.
pub struct Loading<'a> {
    /// The program.
    pub wanted: Wanted,
    /// Its kind; see [`kind`].
    pub ty: bpf_prog_type,
    /// The kernel's type of its attachment.
    pub attach: Option<bpf_attach_type>,
    /// The object's BTF, if the kernel has it.
    pub types: Option<&'a OwnedFd>,
    /// As the object has it.
    pub program: &'a Program,
    /// Its instructions.
    pub function: &'a Function,
}

impl Loading<'_> {
    /// Loads it, to be attached.
    pub fn load(&self) -> Result<Loaded, SessionError> {
        let loaded = self.run(Verifier::Silent, &mut []);
        let fd = loaded.map_err(|error| self.wanted.failed(error))?;
        Ok(Loaded { fd, section: self.program.section.clone() })
    }

    /// Loads it. Only after a refusal does the verifier write a log.
    fn run(&self, verifier: Verifier, log: &mut [u8]) -> io::Result<OwnedFd> {
        self.attempt(verifier, log).inspect_err(|_| {
            let mut log = vec![0; 1 << 20];
            let _ = self.attempt(Verifier::Explains, &mut log);
            log::debug!("{}: the verifier wrote: {}", self.wanted.program, text(&log));
        })
    }

    /// Loads it for the verifier's account alone.
    pub fn cost(&self) -> Result<Cost, SessionError> {
        let mut log = vec![0; 1 << 12];
        let kept = self
            .run(Verifier::Counts, &mut log)
            .and_then(|loaded| misses::instructions(loaded.as_fd()))
            .map_err(|error| self.wanted.failed(error))?;
        let given = self.function.instructions.len() as u64;
        Cost::read(self.wanted.program, given, kept, &text(&log))
            .ok_or_else(|| self.wanted.failed(format!("the verifier wrote: {}", text(&log))))
    }

    fn attempt(&self, verifier: Verifier, log: &mut [u8]) -> io::Result<OwnedFd> {
        // SAFETY: all zeros is valid.
        let mut attr = unsafe { std::mem::zeroed::<bpf_attr>() };
        // SAFETY: these are the fields of this command.
        let load = unsafe { &mut attr.__bindgen_anon_3 };
        load.prog_type = self.ty as u32;
        load.expected_attach_type = self.attach.map_or(0, |attach| attach as u32);
        load.attach_btf_id = self.wanted.function.unwrap_or(0);
        load.insns = self.function.instructions.as_ptr() as u64;
        load.insn_cnt = self.function.instructions.len() as u32;
        load.license = self.program.license.as_ptr() as u64;
        let functions = self.function.func_info.func_info_bytes();
        if let Some(types) = self.types {
            load.prog_btf_fd = types.as_raw_fd() as u32;
            load.func_info = functions.as_ptr() as u64;
            load.func_info_cnt = self.function.func_info.len() as u32;
            load.func_info_rec_size = self.function.func_info_rec_size as u32;
        }
        // The last byte stays 0.
        let room = load.prog_name.len() - 1;
        for (to, from) in load.prog_name[..room].iter_mut().zip(self.wanted.program.bytes()) {
            *to = from as i8;
        }
        if !log.is_empty() {
            load.log_level = verifier as u32;
            load.log_buf = log.as_mut_ptr() as u64;
            load.log_size = log.len() as u32;
        }
        // SAFETY: all that is pointed to outlives the call, and is as long as said.
        unsafe { bpf::load(&mut attr) }
    }
}

/// The verifier's log levels: `BPF_LOG_LEVEL1` and `BPF_LOG_STATS` of `linux/bpf_verifier.h`.
#[derive(Clone, Copy)]
enum Verifier {
    Silent = 0,
    Explains = 1,
    Counts = 4,
}

/// The text in a buffer up to the first zero.
fn text(log: &[u8]) -> Cow<'_, str> {
    CStr::from_bytes_until_nul(log).unwrap_or_default().to_string_lossy()
}
