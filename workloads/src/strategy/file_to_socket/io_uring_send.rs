//! Read and send by `io_uring`: one system call submits both, the send linked to the read.

use std::{mem::ManuallyDrop, os::fd::AsRawFd};

use io_uring::{
    opcode::{Read, Send},
    types::Fd,
};

use super::ring::{self, Message, Ring};
use crate::{
    Result, Route,
    counts::CallCounts,
    protocol::Service,
    strategy::{
        contract::{Failure, Job, Strategy, Transfer},
        counterpart::Counterpart,
        memory::Memory,
    },
};

pub static STRATEGY: Strategy = Strategy {
    name: "io-uring-send",
    summary: "read and send each message by io_uring, linked: one io_uring_enter() for both",
    needs: "Linux 5.11",
    route: Route::FileToSocket,
    counterpart: Counterpart::Consumer(Service::Receive),
    calls: &[],
    prepare,
};

fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    ring::check_length(job.shape)?;
    let ring = Ring::new(&[("READ", Read::CODE), ("SEND", Send::CODE)])?;
    let buffer = ManuallyDrop::new(Memory::new(job.shape.message_len())?);
    Ok(Box::new(Prepared { job: *job, ring, buffer }))
}

struct Prepared<'a> {
    job: Job<'a>,
    ring: Ring,
    /// Never freed: after a failure the kernel may still use it.
    buffer: ManuallyDrop<Memory>,
}

impl Transfer for Prepared<'_> {
    fn run(&mut self, counts: &mut CallCounts) -> Result<(), Failure> {
        let Job { file, socket, shape, .. } = self.job;
        let socket = Fd(socket.as_raw_fd());
        let send =
            |bytes, length| Send::new(socket, bytes, length).flags(libc::MSG_WAITALL).build();
        for number in 0..shape.messages() {
            let message = Message {
                file: Fd(file.as_raw_fd()),
                offset: number * shape.message_bytes(),
                buffer: self.buffer.as_mut_ptr(),
                length: shape.message_len(),
                tag: 0,
            };
            // SAFETY: the buffer is never given back, and used for nothing else.
            unsafe { self.ring.read_and_send(&message, counts, send, |_, _, _| ())? };
        }
        Ok(())
    }
}
