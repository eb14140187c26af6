//! The kernel's notifications of sends with `MSG_ZEROCOPY`, on a socket's error queue: it is done with
//! their memory, and whether it copied it after all.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::socket::{ControlMessageOwned, MsgFlags, cmsg_space, recvmsg},
};
use rustix::{io::Errno, net::SendFlags};

use super::{
    calls::{self, STALL_TIMEOUT},
    contract::Failure,
    socket_option,
};
use crate::{Error, Result, counts::CallCounts};

/// `linux/socket.h`
const MSG_ZEROCOPY: SendFlags = SendFlags::from_bits_retain(0x400_0000);
/// `linux/errqueue.h`
const SO_EE_ORIGIN_ZEROCOPY: u8 = 5;
const SO_EE_CODE_ZEROCOPY_COPIED: u8 = 1;

/// Bytes of one notification: `struct errhdr` in `net/ipv6/datagram.c`, the larger of the two versions.
const SAID: usize = cmsg_space::<(libc::sock_extended_err, libc::sockaddr_in6)>();

/// The zero-copy sends of a socket, by the kernel's numbers: from 0 on, modulo 2³².
pub struct Notifications {
    sends: u32,
    /// The number of sends that the kernel is done with.
    ended: u32,
    said: [u8; SAID],
}

impl Notifications {
    /// Enables them on a socket that has made no such send; `needs` is the kernel that permits it.
    pub fn ask_for(socket: BorrowedFd<'_>, needs: &'static str) -> Result<Self> {
        socket_option::set(socket, libc::SOL_SOCKET, libc::SO_ZEROCOPY, &1_i32)
            .map_err(Error::refused("set SO_ZEROCOPY", needs))?;
        Ok(Self { sends: 0, ended: 0, said: [0; SAID] })
    }

    /// Sends without a notification yet.
    pub fn in_flight(&self) -> u32 {
        self.sends.wrapping_sub(self.ended)
    }

    /// Makes one send, and returns its number and the bytes it took. None if the limit of pinned pages or
    /// of unread notifications is reached: wait, and try again.
    pub fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        bytes: &[u8],
        counts: &mut CallCounts,
    ) -> Result<Option<(u32, usize)>, Failure> {
        let send = || rustix::net::send(socket, bytes, MSG_ZEROCOPY);
        match calls::counted("sendto", counts, send) {
            Ok(sent) => {
                calls::note_sent(sent, bytes.len(), counts);
                let number = self.sends;
                self.sends = number.wrapping_add(1);
                Ok(Some((number, sent)))
            }
            Err(Failure::Call { errno: Errno::NOBUFS, .. }) if self.in_flight() > 0 => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Waits for notifications of some sends, and passes their numbers to `ended`.
    pub fn wait(
        &mut self,
        socket: BorrowedFd<'_>,
        counts: &mut CallCounts,
        mut ended: impl FnMut(u32),
    ) -> Result<(), Failure> {
        let limit = PollTimeout::try_from(STALL_TIMEOUT).unwrap_or(PollTimeout::MAX);
        // No events are requested: the error queue is always reported.
        let mut asked = [PollFd::new(socket, PollFlags::empty())];
        let ready = calls::counted("poll", counts, || poll(&mut asked, limit).map_err(errno))?;
        if ready == 0 {
            return Err(Failure::Call { name: "poll", errno: Errno::AGAIN });
        }
        let said = &mut self.said;
        let received = calls::counted("recvmsg", counts, || receive(socket, said));
        let received = received.map_err(|failure| broken(socket, failure, counts))?;
        if let Some(Done { first, last, copied }) = received {
            let count = last.wrapping_sub(first).wrapping_add(1);
            (0..count).for_each(|send| ended(first.wrapping_add(send)));
            self.ended = self.ended.wrapping_add(count);
            counts.zero_copy(u64::from(count), Some(copied));
        }
        Ok(())
    }
}

/// Sends that the kernel is done with, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Done {
    first: u32,
    last: u32,
    /// Whether it copied their bytes after all.
    copied: bool,
}

/// Reads one notification from the error queue.
fn receive(socket: BorrowedFd<'_>, said: &mut [u8]) -> rustix::io::Result<Option<Done>> {
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

/// An empty queue here means that the connection broke: the socket has the error.
fn broken(socket: BorrowedFd<'_>, failure: Failure, counts: &mut CallCounts) -> Failure {
    let Failure::Call { errno: Errno::AGAIN, .. } = failure else { return failure };
    let name = "getsockopt";
    let error = calls::counted(name, counts, || rustix::net::sockopt::socket_error(socket));
    match error {
        Ok(Err(errno)) => Failure::Call { name, errno },
        Ok(Ok(())) => Failure::Call { name, errno: Errno::PIPE },
        Err(failure) => failure,
    }
}

fn errno(errno: nix::errno::Errno) -> Errno {
    Errno::from_raw_os_error(errno as i32)
}
