//! The flow of a data call: its source and its destination. Every copy inside the call belongs to it.

use aya_ebpf::bindings::{pt_regs, task_struct};
use tracer_common::{
    Flow, Task, call,
    flow::{ANY, MEMORY},
};

use crate::{
    kernel::{area, layout, load, packet, read, read_user, syscall},
    state::{
        call::{Current, begin},
        clock::StopWatch,
        counters,
        entry::Entry,
        mapping, object, process, reads, socket,
    },
};

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

/// The direction of a data call, and where its file descriptors are.
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
        syscall::READ | syscall::PREAD64 | syscall::RECVFROM => Call::Reads(Memory::Buffer),
        syscall::READV | syscall::PREADV | syscall::PREADV2 => Call::Reads(Memory::Vector),
        // The first message of `recvmmsg` and `sendmmsg` stands for all.
        syscall::RECVMSG | syscall::RECVMMSG => Call::Reads(Memory::Message),
        syscall::WRITE | syscall::PWRITE64 | syscall::SENDTO => Call::Writes(Memory::Buffer),
        syscall::WRITEV | syscall::PWRITEV | syscall::PWRITEV2 | syscall::VMSPLICE => {
            Call::Writes(Memory::Vector)
        }
        syscall::SENDMSG | syscall::SENDMMSG => Call::Writes(Memory::Message),
        syscall::SENDFILE => Call::Passes(1, 0),
        syscall::SPLICE | syscall::COPY_FILE_RANGE => Call::Passes(0, 2),
        syscall::TEE => Call::Passes(0, 1),
        syscall::GETSOCKOPT => Call::Maps,
        syscall::PROCESS_VM_READV | syscall::PROCESS_VM_WRITEV => Call::Between,
        _ => return None,
    })
}

/// The first four arguments of a system call. They are adjacent: one read is cheaper than four.
#[inline(always)]
fn arguments(regs: u64) -> Option<[u64; 4]> {
    let [r10, _r9, _r8, _rax, _rcx, rdx, rsi, rdi] =
        read(regs, core::mem::offset_of!(pt_regs, r10) as u32)?;
    Some([rdi, rsi, rdx, r10])
}

/// Records the flow of the call that the current thread enters, if the call moves data.
#[inline(always)]
pub fn enter(task: Entry<Task>, regs: u64, number: u32) -> Option<()> {
    let process = task.process;
    let call = data_call(number)?;
    let arguments = arguments(regs)?;
    let call = match number {
        // The end of the pipe tells the direction.
        syscall::VMSPLICE if !object::is_writable(object::file_of(arguments[0] as u32)?) => {
            Call::Reads(Memory::Vector)
        }
        _ => call,
    };
    let caller = process::of_call(process);
    let mut flow = Flow { process: caller, ..Flow::NONE };
    let zero_copy = asks_for_zero_copy(number, arguments);
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
fn source(fd: u64) -> Option<u32> {
    object::of_file(object::file_of(fd as u32)?, fd as u32)
}

/// The id of the destination, and its flags among [`call::BESIDES`].
#[inline(always)]
fn destination(file: u64, fd: u64, process: u32) -> Option<(u32, u8)> {
    let id = object::of_file(file, fd as u32)?;
    let upper = socket::send_to(file, Flow { process, source: ANY, destination: id });
    let upper = if upper { call::UPPER } else { 0 };
    let direct = if object::is_direct(file) { call::DIRECT } else { 0 };
    Some((id, upper | direct))
}

/// Whether a call asks that its memory be sent by reference.
#[inline(always)]
fn asks_for_zero_copy(number: u32, [_, _, third, fourth]: [u64; 4]) -> bool {
    const MSG_ZEROCOPY: u64 = 0x400_0000;
    let flags = match number {
        syscall::SENDTO => fourth,
        syscall::SENDMSG => third,
        _ => 0,
    };
    flags & MSG_ZEROCOPY != 0
}

/// Whether a `getsockopt` asks for received pages, and not for an option.
#[inline(always)]
fn maps_received([_, level, option, _]: [u64; 4]) -> bool {
    const TCP_ZEROCOPY_RECEIVE: u64 = 35;
    level == u64::from(packet::TCP) && option == TCP_ZEROCOPY_RECEIVE
}

/// Bytes moved by a call that returned `returned`. A call that maps pages has the length in its argument.
#[inline(always)]
pub fn moved(call: &Current, returned: i64) -> u64 {
    /// `tcp_zerocopy_receive.length`, the third field.
    const LENGTH: u32 = 8;
    if call.number == syscall::GETSOCKOPT && returned == 0 {
        let Some(length) = read_user::<u32>(call.buffer, LENGTH) else {
            counters::lost();
            return 0;
        };
        return length.into();
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

/// Enough pieces for a header and a body with their framing.
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

/// The origin of the bytes in a process's memory: an object, and a [`call`].
#[inline(always)]
fn origin(task: Entry<Task>, address: u64, length: u64) -> Option<(u32, u8)> {
    if let Some(file) = mapped_file(address) {
        return Some((object::of_mapping(file)?, call::FROM_MAPPING));
    }
    if mapping::holds(task, address) {
        return Some((MEMORY, call::FROM_MAPPING));
    }
    Some(match reads::source_of(task.process, address, length) {
        MEMORY => (MEMORY, call::PLAIN),
        source => (source, call::LINKED),
    })
}

/// The file that is mapped at an address of the current process.
#[inline(always)]
fn mapped_file(address: u64) -> Option<u64> {
    let mut file = 0u64;
    // If it is not called, the memory counts as the program's own.
    // SAFETY: `on_area` writes to `file` alone.
    unsafe { area::at(address, on_area as *mut core::ffi::c_void, &mut file) };
    (file != 0).then_some(file)
}

unsafe extern "C" fn on_area(_: *mut task_struct, area: *const u8, file: *mut u64) -> i64 {
    // A page of a private mapping that the program wrote to is its own memory.
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
