//! Flows: what each data call of a traced thread moves, from where to where. Every copy inside of
//! the call belongs to its flow.

use aya_ebpf::{
    bindings::{pt_regs, task_struct},
    helpers::bpf_get_current_pid_tgid,
    macros::map,
    maps::HashMap,
};
use tracer_common::{
    Flow, ON_DEMAND, Task, call,
    flow::{ANY, MEMORY},
};

use crate::{
    clock::StopWatch,
    kernel::{layout, load, read, read_user},
    mapping, object, packet, process, socket,
    syscall::{SYS_GETSOCKOPT, SYS_SENDMSG, SYS_SENDTO, SYS_VMSPLICE, asks_for_zero_copy},
};

/// What a thread's current data call does.
#[derive(Clone, Copy)]
pub struct Current {
    /// 0 of a call that has ended: the entry stays for the next one.
    under_way: u64,
    pub flow: Flow,
    /// Of the system call.
    pub number: u32,
    /// See [`call`].
    pub kind: u32,
    /// Where a reading call puts the bytes, or 0; of one that maps them, its argument.
    pub buffer: u64,
    pub watch: StopWatch,
}

/// The data call of each thread, by its id: the one under way, or the last one.
#[map]
static CURRENT: HashMap<u32, Current> = HashMap::with_max_entries(1, ON_DEMAND);

/// How many of its last reads are remembered of a process.
const READS: usize = 8;

/// Where a process read something into. Its threads share the entries without a lock: one that is
/// changed meanwhile, or by two at once, is taken for none. So a link may be lost, but none is made.
#[derive(Clone, Copy)]
struct Read {
    start: u64,
    end: u64,
    source: u64,
    /// The first bytes it read. Where others lie later, the memory is something else by then: a
    /// freed block begins with the addresses of its neighbours.
    sample: u64,
    /// Of all of these.
    sum: u64,
}

impl Read {
    const NONE: Self = Self { start: 0, end: 0, source: 0, sample: 0, sum: 0 };

    #[inline(always)]
    fn new(start: u64, end: u64, source: u64) -> Self {
        let mut read = Self { start, end, source, sample: sample(start, end), sum: 0 };
        read.sum = read.sum();
        read
    }

    #[inline(always)]
    fn sum(&self) -> u64 {
        let Self { start, end, source, sample, .. } = *self;
        (start ^ end.rotate_left(16) ^ source.rotate_left(32) ^ sample.rotate_left(48)) | 1
    }

    #[inline(always)]
    fn is_whole(&self) -> bool {
        self.sum == self.sum()
    }

    #[inline(always)]
    fn holds(&self, start: u64, end: u64) -> bool {
        self.start <= start && end <= self.end && self.is_whole()
    }
}

/// The first bytes in the current process's memory from `start` to `end`, eight at most.
#[inline(always)]
fn sample(start: u64, end: u64) -> u64 {
    let bytes: u64 = read_user(start, 0).unwrap_or(0);
    match end.wrapping_sub(start) {
        // Little-endian.
        length @ 1..8 => bytes & ((1 << (length * 8)) - 1),
        _ => bytes,
    }
}

/// The last reads of a process.
struct Reads {
    next: u64,
    reads: [Read; READS],
}

/// Not on the stack, where it has no room.
static NO_READS: Reads = Reads { next: 0, reads: [Read::NONE; READS] };

/// By process.
#[map]
static LAST_READS: HashMap<u32, Reads> = HashMap::with_max_entries(1, ON_DEMAND);

/// The data call that the current thread is in. Only the thread writes to it.
#[inline(always)]
pub fn under_way() -> Option<*mut Current> {
    call_of(current_thread())
}

#[inline(always)]
fn call_of(thread: u32) -> Option<*mut Current> {
    let call = CURRENT.get_ptr_mut(thread)?;
    // SAFETY: the map gave the pointer.
    (unsafe { (*call).under_way } != 0).then_some(call)
}

#[inline(always)]
fn current_thread() -> u32 {
    bpf_get_current_pid_tgid() as u32
}

/// The current thread leaves its CPU in `call`.
#[inline(always)]
pub fn stop(call: *mut Current) {
    // SAFETY: the map gave the pointer, and only its thread's CPU uses it.
    unsafe { (*call).watch.stop() };
}

/// A `struct task_struct` comes to this CPU.
#[inline(always)]
pub fn go_on(task: u64) {
    let thread = read(task, layout!(task_pid)).unwrap_or(0);
    if let Some(call) = call_of(thread) {
        // SAFETY: as in `stop`; the thread does not run yet.
        unsafe { (*call).watch.go_on() };
    }
}

/// How a call's memory is described.
#[derive(Clone, Copy)]
enum Memory {
    /// By an address and a length.
    Buffer,
    /// By an array of `struct iovec`.
    Vector,
    /// By a `struct msghdr`.
    Message,
}

/// What a call moves.
enum Call {
    /// From the file descriptor in the first argument to memory.
    Reads(Memory),
    /// From memory to the file descriptor in the first argument.
    Writes(Memory),
    /// Between the file descriptors in these arguments.
    Passes(usize, usize),
    /// Pages that the socket in the first argument received.
    Maps,
    /// From memory to memory of another process.
    Between,
}

#[inline(always)]
fn data_call(number: u32) -> Option<Call> {
    Some(match number {
        // read, pread64, recvfrom
        0 | 17 | 45 => Call::Reads(Memory::Buffer),
        // readv, preadv, preadv2
        19 | 295 | 327 => Call::Reads(Memory::Vector),
        // recvmsg, recvmmsg, whose first message stands for all
        47 | 299 => Call::Reads(Memory::Message),
        // write, pwrite64, sendto
        1 | 18 | 44 => Call::Writes(Memory::Buffer),
        // writev, pwritev, pwritev2
        20 | 296 | 328 | SYS_VMSPLICE => Call::Writes(Memory::Vector),
        // sendmsg, sendmmsg
        46 | 307 => Call::Writes(Memory::Message),
        // sendfile
        40 => Call::Passes(1, 0),
        // splice, copy_file_range
        275 | 326 => Call::Passes(0, 2),
        // tee
        276 => Call::Passes(0, 1),
        SYS_GETSOCKOPT => Call::Maps,
        // process_vm_readv, process_vm_writev
        310 | 311 => Call::Between,
        _ => return None,
    })
}

/// The first four arguments of a system call. They lie close together: one read is cheaper than
/// four.
#[inline(always)]
fn arguments(regs: u64) -> Option<[u64; 4]> {
    let [r10, _r9, _r8, _rax, _rcx, rdx, rsi, rdi] =
        read(regs, core::mem::offset_of!(pt_regs, r10) as u32)?;
    Some([rdi, rsi, rdx, r10])
}

/// Notes what the call that the current thread enters will move, if it is known.
#[inline(always)]
pub fn enter(task: *mut Task, regs: u64, number: u32) -> Option<()> {
    // SAFETY: the map gave the pointer.
    let process = unsafe { (*task).process };
    let call = data_call(number)?;
    let arguments = arguments(regs)?;
    let call = match number {
        // The end of the pipe tells which way.
        SYS_VMSPLICE if !object::is_writable(object::file_of(arguments[0] as u32)?) => {
            Call::Reads(Memory::Vector)
        }
        _ => call,
    };
    let caller = process::of_call(process);
    let mut flow = Flow { process: caller, ..Flow::NONE };
    let zero_copy = match number {
        SYS_SENDTO => asks_for_zero_copy(arguments[3]),
        SYS_SENDMSG => asks_for_zero_copy(arguments[2]),
        _ => false,
    };
    let mut kind = if zero_copy { call::ZERO_COPY } else { 0 };
    let mut buffer = 0;
    match call {
        Call::Reads(memory) => {
            flow.source = source(arguments[0])?;
            (buffer, _) = largest(memory, arguments);
        }
        Call::Writes(memory) => {
            let (address, length) = largest(memory, arguments);
            let file = object::file_of(arguments[0] as u32)?;
            let (id, besides) = destination(file, arguments[0], caller)?;
            flow.destination = id;
            let origin = origin(task, address, length)?;
            flow.source = origin.0;
            kind |= besides | origin.1;
            if origin.1 == call::PLAIN && is_tls_record(address) {
                kind |= call::TLS;
            }
        }
        Call::Passes(from, to) => {
            flow.source = source(arguments[from & 3])?;
            let fd = arguments[to & 3];
            let (id, besides) = destination(object::file_of(fd as u32)?, fd, caller)?;
            flow.destination = id;
            kind |= besides & call::UPPER;
        }
        Call::Maps if maps_received(arguments) => {
            flow.source = source(arguments[0])?;
            buffer = arguments[3];
        }
        Call::Maps => return None,
        Call::Between => {}
    }
    let watch = StopWatch::start();
    begin(Current { under_way: 1, flow, number, kind: u32::from(kind), buffer, watch })
}

#[inline(always)]
fn begin(current: Current) -> Option<()> {
    let thread = current_thread();
    if let Some(entry) = CURRENT.get_ptr_mut(thread) {
        // SAFETY: the map gave the pointer, and only its thread writes to it.
        unsafe { *entry = current };
    } else if CURRENT.insert(thread, current, 0).is_err() {
        crate::count::lost();
        return None;
    }
    Some(())
}

/// The current thread's call has ended. Remembers where its process put the bytes it read.
#[inline(always)]
pub fn leave(process: u32, entry: *mut Current, returned: i64) {
    // SAFETY: the map gave the pointer, and only its thread writes to it.
    let current = unsafe { &mut *entry };
    current.under_way = 0;
    if current.buffer != 0 && returned > 0 {
        remember(process, current, returned as u64);
    }
}

/// Forgets the current thread.
#[inline(always)]
pub fn forget_thread() {
    // It is not there if the thread made no data call.
    let _ = CURRENT.remove(current_thread());
}

/// Forgets what a process has read.
#[inline(always)]
pub fn forget_process(process: u32) {
    let _ = LAST_READS.remove(process);
}

#[inline(always)]
fn source(fd: u64) -> Option<u32> {
    object::of_file(object::file_of(fd as u32)?, fd as u32)
}

/// What is written to, and those of [`call::BESIDES`] that come of it.
#[inline(always)]
fn destination(file: u64, fd: u64, process: u32) -> Option<(u32, u8)> {
    let id = object::of_file(file, fd as u32)?;
    let upper = socket::send_to(file, Flow { process, source: ANY, destination: id });
    let upper = if upper { call::UPPER } else { 0 };
    let direct = if object::is_direct(file) { call::DIRECT } else { 0 };
    Some((id, upper | direct))
}

/// Whether a `getsockopt` asks for received pages, and not for an option.
#[inline(always)]
fn maps_received([_, level, option, _]: [u64; 4]) -> bool {
    const TCP_ZEROCOPY_RECEIVE: u64 = 35;
    level == u64::from(packet::TCP) && option == TCP_ZEROCOPY_RECEIVE
}

/// How much a call that returned `returned` moved, in bytes; of one that maps pages its argument says it.
#[inline(always)]
pub fn moved(call: &Current, returned: i64) -> u64 {
    /// `tcp_zerocopy_receive.length`, the third field.
    const LENGTH: u32 = 8;
    if call.number == SYS_GETSOCKOPT && returned == 0 {
        return read_user::<u32>(call.buffer, LENGTH).unwrap_or(0).into();
    }
    returned.max(0) as u64
}

/// The largest of a call's first pieces of memory: (address, length).
#[inline(always)]
fn largest(memory: Memory, arguments: [u64; 4]) -> (u64, u64) {
    let [_, second, third, _] = arguments;
    match memory {
        Memory::Buffer => (second, third),
        Memory::Vector => largest_of(second, third),
        Memory::Message => {
            // `msg_iov` and `msg_iovlen`
            let vector = read_user(second, 16).unwrap_or(0);
            largest_of(vector, read_user(second, 24).unwrap_or(0))
        }
    }
}

/// As many pieces as a header and a body with what goes around them have.
const PIECES: u32 = 6;

#[inline(always)]
fn largest_of(vector: u64, count: u64) -> (u64, u64) {
    let mut largest = (0, 0);
    for index in 0..PIECES {
        if u64::from(index) >= count {
            break;
        }
        let [address, length] = read_user(vector, index * 16).unwrap_or([0; 2]);
        if length > largest.1 {
            largest = (address, length);
        }
    }
    largest
}

/// Whether application data of TLS begins at this address of the process: content type 23, and
/// a version 3.x.
#[inline(always)]
fn is_tls_record(address: u64) -> bool {
    matches!(read_user::<[u8; 3]>(address, 0), Some([23, 3, 1..=4]))
}

/// Where the bytes in a process's memory come from: an object, and a [`call`].
#[inline(always)]
fn origin(task: *mut Task, address: u64, length: u64) -> Option<(u32, u8)> {
    if let Some(file) = mapped_file(address) {
        return Some((object::of_mapping(file)?, call::FROM_MAPPING));
    }
    if mapping::holds(task, address) {
        return Some((MEMORY, call::FROM_MAPPING));
    }
    // SAFETY: the map gave the pointer.
    let process = unsafe { (*task).process };
    Some(match read_before(process, address, length) {
        MEMORY => (MEMORY, call::PLAIN),
        source => (source, call::LINKED),
    })
}

/// The file that is mapped at an address of the current process.
#[inline(always)]
fn mapped_file(address: u64) -> Option<u64> {
    let mut file = 0u64;
    // Where it is not called the memory passes for the program's own.
    // SAFETY: `on_area` writes to `file` alone.
    unsafe { mapping::at(address, on_area as *mut core::ffi::c_void, &mut file) };
    (file != 0).then_some(file)
}

unsafe extern "C" fn on_area(_: *mut task_struct, area: *const u8, file: *mut u64) -> i64 {
    // What a program wrote to in a private mapping is its own memory.
    // SAFETY: the verifier knows the area's type.
    let flags: u64 = unsafe { load(area, layout!(area_flags)) };
    if flags & VM_SHARED != 0 || flags & VM_WRITE == 0 {
        // SAFETY: as above.
        let found: u64 = unsafe { load(area, layout!(area_file)) };
        if !object::is_hidden(found) {
            // SAFETY: `mapped_file` passed it.
            unsafe { *file = found };
        }
    }
    0
}

const VM_WRITE: u64 = 2;
const VM_SHARED: u64 = 8;

/// The object that was read into this memory, or [`MEMORY`].
#[inline(always)]
fn read_before(process: u32, address: u64, length: u64) -> u32 {
    let Some(reads) = LAST_READS.get_ptr_mut(process) else { return MEMORY };
    let mut found = Read::NONE;
    for index in 0..READS {
        // SAFETY: the map gave the pointer.
        let read = unsafe { slot(reads, index).read_volatile() };
        if read.holds(address, address + length) {
            found = read;
        }
    }
    if found.end != 0 && found.sample == sample(found.start, found.end) {
        return found.source as u32;
    }
    MEMORY
}

/// # Safety
/// `reads` points to an entry of the map.
#[inline(always)]
unsafe fn slot(reads: *mut Reads, index: usize) -> *mut Read {
    // SAFETY: there are so many.
    unsafe { (&raw mut (*reads).reads).cast::<Read>().add(index & (READS - 1)) }
}

/// The last reads of a process, where they are changed.
#[inline(always)]
fn reads_of(process: u32) -> Option<*mut Reads> {
    LAST_READS.get_ptr_mut(process).or_else(|| {
        LAST_READS.insert(process, &NO_READS, 0).ok()?;
        LAST_READS.get_ptr_mut(process)
    })
}

#[inline(always)]
fn remember(process: u32, current: &Current, length: u64) {
    let Some(reads) = reads_of(process) else { return crate::count::lost() };
    let (start, end) = (current.buffer, current.buffer + length);
    let source = u64::from(current.flow.source);
    // A buffer that is filled by several calls may be written by one: the read that this one continues,
    // and where it began.
    let (mut continued, mut first) = (READS, start);
    for index in 0..READS {
        // SAFETY: the map gave the pointer.
        let slot = unsafe { slot(reads, index) };
        // SAFETY: likewise.
        let read = unsafe { slot.read_volatile() };
        if read.start < end && start < read.end && read.is_whole() {
            // What lay there before is gone.
            // SAFETY: as above.
            unsafe { (&raw mut (*slot).sum).write_volatile(0) };
        } else if read.end == start && read.source == source && read.is_whole() {
            (continued, first) = (index, read.start);
        }
    }
    if continued == READS {
        // SAFETY: as above.
        unsafe {
            let next = (*reads).next;
            (*reads).next = next.wrapping_add(1);
            continued = next as usize;
        }
    }
    // SAFETY: as above.
    unsafe { slot(reads, continued).write_volatile(Read::new(first, end, source)) };
}
