//! `splice` by `io_uring`: one system call submits the splice from the file into a pipe and, linked to
//! it, the splice from the pipe to the socket. The kernel makes both in threads of its own.

use std::os::fd::AsRawFd;

use io_uring::{opcode, squeue::Flags, types::Fd};

use super::ring::{self, Ring};
use crate::{
    Result, Route,
    counts::CallCounts,
    protocol::Service,
    strategy::{
        contract::{Failure, Job, Strategy, Transfer},
        counterpart::Counterpart,
        pipe::Pipe,
    },
};

/// A pipe and a socket have no position.
const NO_OFFSET: i64 = -1;
const NAME: &str = "splice by io_uring";

pub static STRATEGY: Strategy = Strategy {
    name: "io-uring-splice",
    summary: "splice each message through a pipe by io_uring, linked: one io_uring_enter() for both ways",
    needs: "Linux 5.11",
    route: Route::FileToSocket,
    counterpart: Counterpart::Consumer(Service::Receive),
    calls: &[],
    prepare,
};

fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    ring::check_length(job.shape)?;
    let ring = Ring::new(&[("SPLICE", opcode::Splice::CODE)])?;
    Ok(Box::new(Prepared { job: *job, ring, pipe: Pipe::holding(job.shape.message_len())? }))
}

struct Prepared<'a> {
    job: Job<'a>,
    ring: Ring,
    pipe: Pipe,
}

impl Transfer for Prepared<'_> {
    fn run(&mut self, counts: &mut CallCounts) -> Result<(), Failure> {
        for message in 0..self.job.shape.messages() {
            self.pass(message * self.job.shape.message_bytes(), counts)?;
        }
        Ok(())
    }
}

impl Prepared<'_> {
    /// Sends the message at `offset` of the file.
    fn pass(&mut self, offset: u64, counts: &mut CallCounts) -> Result<(), Failure> {
        let length = self.job.shape.message_len();
        let file = Fd(self.job.file.as_raw_fd());
        let socket = Fd(self.job.socket.as_raw_fd());
        let (reader, writer) =
            (Fd(self.pipe.reader().as_raw_fd()), Fd(self.pipe.writer().as_raw_fd()));
        let drain = |bytes: usize| {
            opcode::Splice::new(reader, NO_OFFSET, socket, NO_OFFSET, bytes as u32).build()
        };
        let (mut filled, mut sent) = (0, 0);
        while sent < length {
            let (missing, inside) = (length - filled, filled - sent);
            let (ended, asked) = if inside == 0 {
                let from = (offset + filled as u64) as i64;
                let fill = opcode::Splice::new(file, from, writer, NO_OFFSET, missing as u32);
                let fill = fill.build().flags(Flags::IO_LINK);
                // SAFETY: splicing uses no memory of this process.
                let ended =
                    unsafe { self.ring.run([fill, drain(missing)], 0, counts, |_, _, _| ())? };
                filled += ended[0].read(missing, NAME, counts)?;
                (ended[1], missing)
            } else {
                // SAFETY: as above.
                let [ended] = unsafe { self.ring.run([drain(inside)], 0, counts, |_, _, _| ())? };
                (ended, inside)
            };
            sent += ended.sent(asked, NAME, counts)?;
        }
        Ok(())
    }
}
