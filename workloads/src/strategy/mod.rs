//! The ways of the bytes, by [`Route`]. A new one is one new file here, and one line in
//! [`STRATEGIES`]: see `docs/new-strategy.md`.

use std::{io, os::fd::BorrowedFd, path::Path};

use crate::{
    Error, Result, Shape,
    protocol::{Answer, Service},
    tally::Tally,
};

mod buffers;
pub(crate) mod calls;
mod channel;
mod copy_file_range;
mod datagrams;
mod io_uring_send;
mod io_uring_send_zc;
mod io_uring_splice;
mod kernel_tls;
mod mapped;
mod memory;
mod mmap_heap_write;
mod mmap_memcpy_file;
mod mmap_populate_write;
mod mmap_touch_write;
mod mmap_write;
mod msg_zerocopy;
mod notifications;
mod odirect_write;
pub(crate) mod pipe;
mod pipe_vmsplice;
mod pread_writev;
mod process_vm_readv;
mod read_write;
mod read_write_file;
mod receive;
mod recv;
mod recv_zerocopy;
mod ring;
mod sendfile;
mod sendfile_file;
mod sendfile_ktls;
mod shared_memory;
mod socket_option;
mod splice;
mod splice_recv;
mod to_pipe;
mod udp_msg_zerocopy;
mod udp_send;
mod unix_stream;
mod vmsplice;
mod write;
mod write_ktls;

pub(crate) use channel::{Channel, Remote};
use tracer_ledger::workload::Route;

/// Every strategy: those of the documents in their order, then the others by route.
pub static STRATEGIES: &[&dyn Strategy] = &[
    &read_write::ReadWrite,
    &mmap_write::MmapWrite,
    &sendfile::Sendfile,
    &pread_writev::PreadWritev,
    &splice::Splice,
    &odirect_write::OdirectWrite,
    &mmap_touch_write::MmapTouchWrite,
    &mmap_populate_write::MmapPopulateWrite,
    &mmap_heap_write::MmapHeapWrite,
    &msg_zerocopy::MsgZerocopy,
    &io_uring_send::IoUringSend,
    &io_uring_send_zc::IoUringSendZc,
    &io_uring_splice::IoUringSplice,
    &sendfile_ktls::SendfileKtls,
    &write_ktls::WriteKtls,
    &write::Write,
    &vmsplice::Vmsplice,
    &read_write_file::ReadWriteFile,
    &copy_file_range::CopyFileRange,
    &sendfile_file::SendfileFile,
    &mmap_memcpy_file::MmapMemcpyFile,
    &to_pipe::ToPipe,
    &pipe_vmsplice::PipeVmsplice,
    &unix_stream::UnixStream,
    &process_vm_readv::ProcessVmReadv,
    &shared_memory::SharedMemory,
    &recv::Recv,
    &recv_zerocopy::RecvZerocopy,
    &splice_recv::SpliceRecv,
    &udp_send::UdpSend,
    &udp_msg_zerocopy::UdpMsgZerocopy,
];

/// The strategy of this name.
pub fn find(name: &str) -> Result<&'static dyn Strategy> {
    STRATEGIES.iter().copied().find(|strategy| strategy.name() == name).ok_or_else(|| {
        let known: Vec<_> = STRATEGIES.iter().map(|strategy| strategy.name()).collect();
        Error::UnknownStrategy { name: name.to_owned(), known: known.join(", ") }
    })
}

/// Writes every strategy with the kernel it needs and a line of explanation, by route.
pub fn write_list(out: &mut dyn io::Write) -> io::Result<()> {
    for (index, route) in Route::ALL.into_iter().enumerate() {
        writeln!(out, "{}{route}", if index == 0 { "" } else { "\n" })?;
        for strategy in STRATEGIES.iter().filter(|strategy| strategy.route() == route) {
            let (name, needs) = (strategy.name(), strategy.needs());
            writeln!(out, "  {name:<19} {needs:<13} {}", strategy.summary())?;
        }
    }
    Ok(())
}

/// What to send, and where to.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The payload, exactly as long as all messages, at its beginning.
    pub file: BorrowedFd<'a>,
    /// The connection to the consumer, or the socket whose datagrams go there, blocking; on a route
    /// without one, the file it goes to, which is empty, or this end of the channel to the other
    /// process.
    pub socket: BorrowedFd<'a>,
    /// The other process's memory, on a route with another process.
    pub remote: Option<Remote>,
    /// Where other files are made.
    pub dir: &'a Path,
    /// How many messages, and how long.
    pub shape: Shape,
}

/// One way of the messages of a file to somewhere else: from the file itself, or from memory that was
/// filled from it outside the window.
pub trait Strategy: Sync {
    /// Its name on the command line and in every report.
    fn name(&self) -> &'static str;

    /// One line on what it does.
    fn summary(&self) -> &'static str;

    /// The kernel it needs, such as `Linux 4.14`.
    fn needs(&self) -> &'static str;

    /// From what to what the bytes go.
    fn route(&self) -> Route {
        Route::FileToSocket
    }

    /// What it asks of the consumer, on a route that has one.
    fn service(&self) -> Service {
        Service::Receive
    }

    /// What connects it to the other process, on a route that has one.
    fn channel(&self) -> Channel {
        Channel::Pipe
    }

    /// Whether the measured process is the one that receives.
    fn receives(&self) -> bool {
        self.route() == Route::Receive
    }

    /// Set-up, outside the window: whatever a broker does once, and not for a message. What this
    /// kernel, disk or message size does not allow is an [`Error::Unsupported`].
    fn prepare<'a>(&self, job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>>;
}

/// A strategy that is set up. What it leaves behind, such as a mapping, ends when it is dropped,
/// outside the window.
pub trait Transfer {
    /// Sends every message, inside the window: no system call but the strategy's own, so no
    /// allocation, no output, no clock.
    fn run(&mut self, tally: &mut Tally) -> Result<(), Failure>;

    /// What it received, if it is the one that does. Asked after the window.
    fn received(&self) -> Result<Option<Answer>> {
        Ok(None)
    }
}

/// Why a transfer stopped. Small and without memory of its own: it is made inside the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The file ended before the messages did.
    EndOfFile,
    /// A system call failed.
    Call {
        /// Its name.
        name: &'static str,
        /// What the kernel said.
        errno: rustix::io::Errno,
    },
}

impl Failure {
    /// As an error of the set-up, outside the window.
    fn outside(self, tried: &str) -> Error {
        match self {
            Self::EndOfFile => Error::os(tried)(io::ErrorKind::UnexpectedEof),
            Self::Call { errno, .. } => Error::os(tried)(errno),
        }
    }
}
