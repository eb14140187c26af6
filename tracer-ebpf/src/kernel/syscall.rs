//! System calls by number, as `asm/unistd_64.h` has them.

pub const READ: u32 = 0;
pub const WRITE: u32 = 1;
pub const MMAP: u32 = 9;
pub const PREAD64: u32 = 17;
pub const PWRITE64: u32 = 18;
pub const READV: u32 = 19;
pub const WRITEV: u32 = 20;
pub const SENDFILE: u32 = 40;
pub const SENDTO: u32 = 44;
pub const RECVFROM: u32 = 45;
pub const SENDMSG: u32 = 46;
pub const RECVMSG: u32 = 47;
pub const GETSOCKOPT: u32 = 55;
pub const PRCTL: u32 = 157;
pub const SPLICE: u32 = 275;
pub const TEE: u32 = 276;
pub const VMSPLICE: u32 = 278;
pub const PREADV: u32 = 295;
pub const PWRITEV: u32 = 296;
pub const RECVMMSG: u32 = 299;
pub const SENDMMSG: u32 = 307;
pub const PROCESS_VM_READV: u32 = 310;
pub const PROCESS_VM_WRITEV: u32 = 311;
pub const COPY_FILE_RANGE: u32 = 326;
pub const PREADV2: u32 = 327;
pub const PWRITEV2: u32 = 328;
