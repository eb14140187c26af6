//! Another process at the far end, a child of this one.

use std::{
    cell::RefCell,
    io::Read,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    process::{Child, ChildStdout, Command, Stdio},
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::{
    far_end::{Arrived, FarEnd},
    request::Request,
};
use crate::{
    Error, Result, peer,
    protocol::Answer,
    shared,
    strategy::{
        counterpart::{Channel, Remote},
        pipe::Pipe,
    },
};

/// The running program, which has the peer among its verbs.
const SELF: &str = "/proc/self/exe";

/// The other process; killed when this is dropped.
pub struct Peer {
    child: Child,
    said: RefCell<ChildStdout>,
    /// This end of the channel.
    ours: OwnedFd,
    remote: Remote,
}

impl Peer {
    pub fn start(request: &Request, channel: Channel) -> Result<Self> {
        let (ours, theirs) = ends(channel, request)?;
        let arguments = [
            ("--channel", channel.name().to_owned()),
            ("--bytes", request.shape.bytes().to_string()),
            ("--parent", std::process::id().to_string()),
        ];
        let mut child = Command::new(SELF)
            .arg(peer::VERB)
            .args(arguments.into_iter().flat_map(|(name, value)| [name.to_owned(), value]))
            .stdin(theirs)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Error::os("start the other process"))?;
        let pid = child.id();
        let mut said = child.stdout.take().expect("was asked for above");
        let mut address = [0; 8];
        if let Err(cause) = said.read_exact(&mut address) {
            return Err(gone(&mut child, cause));
        }
        let remote = Remote { pid, address: u64::from_le_bytes(address) };
        Ok(Self { child, said: RefCell::new(said), ours, remote })
    }
}

/// This process's end and the other's.
fn ends(channel: Channel, request: &Request) -> Result<(OwnedFd, OwnedFd)> {
    let twice = |fd: OwnedFd| -> Result<_> {
        let other = fd.try_clone().map_err(Error::os("share a descriptor"))?;
        Ok((fd, other))
    };
    match channel {
        Channel::Pipe => Ok(Pipe::holding(request.shape.message_len())?.into_ends()),
        Channel::UnixStream => {
            let (stream, cloexec) = (SocketType::STREAM, SocketFlags::CLOEXEC);
            socketpair(AddressFamily::UNIX, stream, cloexec, None)
                .map_err(Error::os("make a pair of sockets"))
        }
        Channel::SharedMemory => twice(shared::create(request.shape.len())?),
        Channel::ItsMemory => {
            // Opened again: the other process reads the payload from its beginning.
            let path = format!("/proc/self/fd/{}", request.file.as_raw_fd());
            let file = std::fs::File::open(path).map_err(Error::os("open the payload"))?;
            twice(file.into())
        }
    }
}

impl FarEnd for Peer {
    fn fd(&self) -> BorrowedFd<'_> {
        self.ours.as_fd()
    }

    fn remote(&self) -> Option<Remote> {
        Some(self.remote)
    }

    fn arrived(&self) -> Result<Arrived> {
        let mut wire = [0; Answer::LENGTH];
        self.said
            .borrow_mut()
            .read_exact(&mut wire)
            .map_err(Error::os("hear what the other process received"))?;
        Ok(Answer::decode(&wire).into())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn gone(child: &mut Child, cause: std::io::Error) -> Error {
    let _ = child.kill();
    match child.wait() {
        Ok(status) => Error::ChildEnded { who: "other process", status },
        Err(_) => Error::os("hear the other process")(cause),
    }
}
