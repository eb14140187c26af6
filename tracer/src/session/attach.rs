//! Attaching to the kernel. Attachments belong to file descriptors of this process: the kernel removes
//! them when the process ends, however it ends.

use std::{
    ffi::CString,
    io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::{Mutex, PoisonError},
    thread,
};

use aya_obj::generated::{perf_event_attr, perf_type_id::PERF_TYPE_BREAKPOINT};

/// `PERF_EVENT_IOC_ENABLE` and `PERF_EVENT_IOC_SET_BPF` of `linux/perf_event.h`.
const IOC_ENABLE: libc::c_ulong = 0x2400;
const IOC_SET_BPF: libc::c_ulong = 0x4004_2408;
const HW_BREAKPOINT_X: u32 = 4;
const FLAG_CLOEXEC: libc::c_ulong = 8;

/// Attaching and detaching wait for the kernel, not for a CPU.
const THREADS: usize = 8;

/// The attachment of a program: it is detached when this is dropped.
pub struct Link {
    _held: OwnedFd,
    is_trampoline: bool,
}

impl Link {
    /// A perf event (a kprobe, a uprobe, a breakpoint, a counter), or a raw tracepoint.
    pub fn event(held: OwnedFd) -> Self {
        Self { _held: held, is_trampoline: false }
    }

    /// Of fentry or fexit.
    pub fn trampoline(held: OwnedFd) -> Self {
        Self { _held: held, is_trampoline: true }
    }
}

/// Detaches all. The kernel waits for its readers at each one, so this is done in parallel, in two queues
/// as in the kernel: one for trampolines, one for the rest.
pub fn detach(links: Vec<Link>) {
    let (trampolines, events): (Vec<_>, Vec<_>) =
        links.into_iter().partition(|link| link.is_trampoline);
    let events: Vec<_> = events.into_iter().map(|event| Mutex::new(Some(event))).collect();
    thread::scope(|scope| {
        scope.spawn(|| drop(trampolines));
        in_parallel(&events, |event| {
            drop(event.lock().unwrap_or_else(PoisonError::into_inner).take());
        });
    });
}

/// The entry or the exit of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// At its entry.
    Entry,
    /// At its exit.
    Return,
}

/// The dynamic type number of `kprobe` or `uprobe` as perf events.
pub fn pmu(name: &str) -> io::Result<u32> {
    let text = std::fs::read_to_string(format!("/sys/bus/event_source/devices/{name}/type"))?;
    text.trim().parse().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, text))
}

/// Attaches a kprobe program to a function of the kernel.
pub fn at_function(program: BorrowedFd<'_>, symbol: &str, at: At) -> io::Result<OwnedFd> {
    let event = function(symbol, at)?;
    run(&event, program)?;
    Ok(event)
}

/// A kprobe on a function, without a program.
pub fn function(symbol: &str, at: At) -> io::Result<OwnedFd> {
    let symbol = CString::new(symbol)?;
    let mut attr = attributes(pmu("kprobe")?);
    // Bit 0: at the return.
    attr.config = u64::from(at == At::Return);
    attr.__bindgen_anon_3.kprobe_func = symbol.as_ptr() as u64;
    open(&mut attr, 0)
}

/// Attaches a kprobe program at an address inside a function.
pub fn at_address(program: BorrowedFd<'_>, pmu: u32, address: u64) -> io::Result<OwnedFd> {
    let mut attr = attributes(pmu);
    attr.__bindgen_anon_4.kprobe_addr = address;
    let event = open(&mut attr, 0)?;
    run(&event, program)?;
    Ok(event)
}

/// Attaches a program `offset` bytes into a file, to all processes that run it.
pub fn in_file(program: BorrowedFd<'_>, file: &Path, offset: u64) -> io::Result<OwnedFd> {
    let path = CString::new(file.as_os_str().as_bytes())?;
    let mut attr = attributes(pmu("uprobe")?);
    attr.__bindgen_anon_3.uprobe_path = path.as_ptr() as u64;
    attr.__bindgen_anon_4.probe_offset = offset;
    let event = open(&mut attr, 0)?;
    run(&event, program)?;
    Ok(event)
}

/// Attaches a program to an execute hardware breakpoint on one CPU.
pub fn at_breakpoint(program: BorrowedFd<'_>, address: u64, cpu: u32) -> io::Result<OwnedFd> {
    let mut attr = attributes(PERF_TYPE_BREAKPOINT as u32);
    attr.bp_type = HW_BREAKPOINT_X;
    attr.__bindgen_anon_3.bp_addr = address;
    attr.__bindgen_anon_4.bp_len = size_of::<libc::c_long>() as u64;
    attr.__bindgen_anon_1.sample_period = 1;
    let event = open(&mut attr, cpu as i32)?;
    run(&event, program)?;
    Ok(event)
}

/// Calls `work` for every item on a few threads, and returns the results in order.
pub fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let results = Mutex::new(Vec::with_capacity(items.len()));
    thread::scope(|scope| {
        for first in 0..THREADS.min(items.len()) {
            let (results, work) = (&results, &work);
            scope.spawn(move || {
                for index in (first..items.len()).step_by(THREADS) {
                    let result = work(&items[index]);
                    results.lock().unwrap_or_else(|error| error.into_inner()).push((index, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(|error| error.into_inner());
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

pub(super) fn attributes(ty: u32) -> perf_event_attr {
    // SAFETY: all zeros is the documented default of a perf_event_attr.
    let mut attr: perf_event_attr = unsafe { std::mem::zeroed() };
    attr.size = size_of::<perf_event_attr>() as u32;
    attr.type_ = ty;
    attr
}

pub(super) fn open(attr: &mut perf_event_attr, cpu: i32) -> io::Result<OwnedFd> {
    // SAFETY: the kernel reads `attr` within its size, and gives a new descriptor.
    let fd = unsafe {
        libc::syscall(libc::SYS_perf_event_open, &raw mut *attr, -1, cpu, -1, FLAG_CLOEXEC)
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: nobody else owns the new descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

fn run(event: &OwnedFd, program: BorrowedFd<'_>) -> io::Result<()> {
    for (request, argument) in [(IOC_SET_BPF, program.as_raw_fd()), (IOC_ENABLE, 0)] {
        // SAFETY: both requests take an integer.
        if unsafe { libc::ioctl(event.as_raw_fd(), request, argument) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::in_parallel;

    #[test]
    fn results_keep_their_order() {
        let items: Vec<u32> = (0..100).collect();
        assert_eq!(in_parallel(&items, |item| item * 2), (0..200).step_by(2).collect::<Vec<_>>());
        assert!(in_parallel(&[] as &[u32], |item| *item).is_empty());
    }
}
