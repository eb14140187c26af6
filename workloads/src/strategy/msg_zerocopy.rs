//! `pread` into a buffer that is free, `send` it with `MSG_ZEROCOPY`: the socket takes the buffer's pages
//! instead of a copy, and the kernel says on the socket's error queue when they are free again.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{ControlMessageOwned, MsgFlags, cmsg_space, recvmsg},
};
use rustix::{io::Errno, net::SendFlags};

use super::{Failure, Job, Strategy, Transfer, buffers::Buffers, calls, socket_option};
use crate::{Error, Result, sender::STALL_TIMEOUT, tally::Tally};

/// `linux/socket.h`
const MSG_ZEROCOPY: SendFlags = SendFlags::from_bits_retain(0x400_0000);
/// `linux/errqueue.h`
const SO_EE_ORIGIN_ZEROCOPY: u8 = 5;
const SO_EE_CODE_ZEROCOPY_COPIED: u8 = 1;

/// Sends of which the kernel has not said yet that it is done with them, at most: one for each
/// buffer, and more where a send took less than a buffer.
const MOST_IN_FLIGHT: u32 = 256;

pub struct MsgZerocopy;

impl Strategy for MsgZerocopy {
    fn name(&self) -> &'static str {
        "msg-zerocopy"
    }

    fn summary(&self) -> &'static str {
        "pread() each message into a free buffer, send() it with MSG_ZEROCOPY"
    }

    fn needs(&self) -> &'static str {
        "Linux 4.14"
    }

    fn prepare<'a>(&self, job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
        socket_option::set(job.socket, libc::SOL_SOCKET, libc::SO_ZEROCOPY, &1_i32)
            .map_err(Error::refused("set SO_ZEROCOPY", "use Linux 4.14 or newer"))?;
        Ok(Box::new(Prepared {
            job: *job,
            buffers: Buffers::new(job.shape)?,
            flights: Flights { buffer_of: [0; MOST_IN_FLIGHT as usize], sends: 0, ended: 0 },
            said: [0; SAID],
        }))
    }
}

struct Prepared<'a> {
    job: Job<'a>,
    buffers: Buffers,
    flights: Flights,
    said: [u8; SAID],
}

/// The sends, as the kernel numbers them: from 0 on, and from 0 again after 2³².
struct Flights {
    /// The buffer of each that may be in flight, by its number.
    buffer_of: [usize; MOST_IN_FLIGHT as usize],
    sends: u32,
    /// How many the kernel is done with.
    ended: u32,
}

/// Bytes of what the kernel says of some sends: `struct errhdr` in `net/ipv6/datagram.c`, the larger one.
const SAID: usize = cmsg_space::<(libc::sock_extended_err, libc::sockaddr_in6)>();

impl Transfer for Prepared<'_> {
    fn run(&mut self, tally: &mut Tally) -> Result<(), Failure> {
        let Job { file, socket, shape, .. } = self.job;
        for message in 0..shape.messages() {
            let index = self.buffers.index_for(message);
            while self.buffers.is_busy(index) {
                self.wait(socket, tally)?;
            }
            let offset = message * shape.message_bytes();
            calls::pread_full(file, self.buffers.get_mut(index), offset, tally)?;
            self.send(socket, index, tally)?;
        }
        while self.flights.in_flight() > 0 {
            self.wait(socket, tally)?;
        }
        Ok(())
    }
}

impl Prepared<'_> {
    fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        index: usize,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let mut done = 0;
        while done < self.buffers.get(index).len() {
            while self.flights.in_flight() == MOST_IN_FLIGHT {
                self.wait(socket, tally)?;
            }
            let rest = &self.buffers.get(index)[done..];
            let sent =
                calls::counted("sendto", tally, || rustix::net::send(socket, rest, MSG_ZEROCOPY));
            match sent {
                Ok(sent) => {
                    calls::note_sent(sent, rest.len(), tally);
                    done += sent;
                    self.flights.start(index);
                    self.buffers.started(index);
                }
                // As many pages are pinned, or notifications unread, as the limits allow.
                Err(Failure::Call { errno: Errno::NOBUFS, .. }) if self.flights.in_flight() > 0 => {
                    self.wait(socket, tally)?;
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Waits until the kernel says of some sends that it is done with them.
    fn wait(&mut self, socket: BorrowedFd<'_>, tally: &mut Tally) -> Result<(), Failure> {
        let limit = PollTimeout::try_from(STALL_TIMEOUT).unwrap_or(PollTimeout::MAX);
        // Nothing is asked for: the error queue is always told of.
        let mut asked = [PollFd::new(socket, PollFlags::empty())];
        let ready = calls::counted("poll", tally, || poll(&mut asked, limit).map_err(errno))?;
        if ready == 0 {
            return Err(Failure::Call { name: "poll", errno: Errno::AGAIN });
        }
        let said = &mut self.said;
        let heard = calls::counted("recvmsg", tally, || hear(socket, said));
        let heard = heard.map_err(|failure| broken(socket, failure, tally))?;
        self.note(heard, tally);
        Ok(())
    }

    fn note(&mut self, heard: Option<Done>, tally: &mut Tally) {
        let Some(Done { first, last, copied }) = heard else { return };
        let count = last.wrapping_sub(first).wrapping_add(1);
        for send in 0..count {
            self.buffers.ended(self.flights.end(first.wrapping_add(send)));
        }
        tally.zero_copy(u64::from(count), Some(copied));
    }
}

impl Flights {
    fn in_flight(&self) -> u32 {
        self.sends.wrapping_sub(self.ended)
    }

    fn start(&mut self, buffer: usize) {
        self.buffer_of[(self.sends % MOST_IN_FLIGHT) as usize] = buffer;
        self.sends = self.sends.wrapping_add(1);
    }

    /// Answers the buffer.
    fn end(&mut self, send: u32) -> usize {
        self.ended = self.ended.wrapping_add(1);
        self.buffer_of[(send % MOST_IN_FLIGHT) as usize]
    }
}

/// Sends the kernel is done with, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Done {
    first: u32,
    last: u32,
    /// Whether it copied their bytes after all.
    copied: bool,
}

/// Takes one notification from the error queue.
fn hear(socket: BorrowedFd<'_>, said: &mut [u8]) -> rustix::io::Result<Option<Done>> {
    let flags = MsgFlags::MSG_ERRQUEUE;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut [], Some(said), flags).map_err(errno)?;
    let mut errors = message.cmsgs().map_err(errno)?.filter_map(|part| match part {
        ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) => {
            Some(error)
        }
        _ => None,
    });
    Ok(errors.find(|error| error.ee_origin == SO_EE_ORIGIN_ZEROCOPY).map(|error| Done {
        first: error.ee_info,
        last: error.ee_data,
        copied: error.ee_code & SO_EE_CODE_ZEROCOPY_COPIED != 0,
    }))
}

/// An empty queue after all says that the connection broke: the socket knows how.
fn broken(socket: BorrowedFd<'_>, failure: Failure, tally: &mut Tally) -> Failure {
    let Failure::Call { errno: Errno::AGAIN, .. } = failure else { return failure };
    let name = "getsockopt";
    let error = calls::counted(name, tally, || rustix::net::sockopt::socket_error(socket));
    match error {
        Ok(Err(errno)) => Failure::Call { name, errno },
        Ok(Ok(())) => Failure::Call { name, errno: Errno::PIPE },
        Err(failure) => failure,
    }
}

fn errno(errno: nix::errno::Errno) -> Errno {
    Errno::from_raw_os_error(errno as i32)
}
