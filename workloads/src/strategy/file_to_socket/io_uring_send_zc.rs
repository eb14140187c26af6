//! As `io-uring-send`, but the socket takes the buffer's pages instead of a copy, and a notification
//! tells when they are free again.

use std::{mem::ManuallyDrop, os::fd::AsRawFd};

use io_uring::{
    opcode::{Read, SendZc},
    types::Fd,
};

use super::ring::{self, Message, Notice, Ring};
use crate::{
    Result, Route,
    counts::CallCounts,
    protocol::Service,
    strategy::{
        buffers::Buffers,
        contract::{Failure, Job, Strategy, Transfer},
        counterpart::Counterpart,
    },
};

/// `linux/io_uring.h`: the notification says whether the bytes were copied after all.
const IORING_SEND_ZC_REPORT_USAGE: u16 = 8;

pub static STRATEGY: Strategy = Strategy {
    name: "io-uring-send-zc",
    summary: "as io-uring-send, with SEND_ZC out of a free buffer",
    needs: "Linux 6.0",
    route: Route::FileToSocket,
    counterpart: Counterpart::Consumer(Service::Receive),
    calls: &[],
    prepare,
};

fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    ring::check_length(job.shape)?;
    let mut ring = Ring::new(&[("READ", Read::CODE), ("SEND_ZC", SendZc::CODE)])?;
    let reports = reports_usage(&mut ring)?;
    let buffers = ManuallyDrop::new(Buffers::new(job.shape)?);
    Ok(Box::new(Prepared { job: *job, ring, reports, buffers }))
}

/// Whether this kernel knows the flag, as it does from 6.2 on. It checks the flags before it looks for
/// the socket, and there is none.
fn reports_usage(ring: &mut Ring) -> Result<bool> {
    let nowhere = SendZc::new(Fd(-1), std::ptr::null(), 0);
    let nowhere = nowhere.zc_flags(IORING_SEND_ZC_REPORT_USAGE).build();
    // SAFETY: the operation has no memory.
    let ended = unsafe { ring.run([nowhere], 0, &mut CallCounts::default(), |_, _, _| ()) };
    let [ended] = ended.map_err(|failure| failure.outside("ask io_uring for its flags"))?;
    Ok(ended.error() != Some(rustix::io::Errno::INVAL))
}

struct Prepared<'a> {
    job: Job<'a>,
    ring: Ring,
    /// Whether notifications tell if the bytes were copied.
    reports: bool,
    /// Never freed: after a failure the kernel may still use them.
    buffers: ManuallyDrop<Buffers>,
}

impl Transfer for Prepared<'_> {
    fn run(&mut self, counts: &mut CallCounts) -> Result<(), Failure> {
        let Job { file, socket, shape, .. } = self.job;
        let (ring, buffers, reports) = (&mut self.ring, &mut *self.buffers, self.reports);
        let socket = Fd(socket.as_raw_fd());
        let flags = if reports { IORING_SEND_ZC_REPORT_USAGE } else { 0 };
        let send = |bytes, length| {
            SendZc::new(socket, bytes, length).flags(libc::MSG_WAITALL).zc_flags(flags).build()
        };
        let note = |buffers: &mut Buffers, tag: u32, notice, counts: &mut CallCounts| match notice {
            Notice::Busy => buffers.started(tag as usize),
            Notice::Free { copied } => {
                buffers.ended(tag as usize);
                counts.zero_copy(1, reports.then_some(copied));
            }
        };
        for number in 0..shape.messages() {
            let index = buffers.index_for(number);
            while buffers.is_busy(index) {
                ring.listen(counts, |tag, notice, counts| note(buffers, tag, notice, counts))?;
            }
            let message = Message {
                file: Fd(file.as_raw_fd()),
                offset: number * shape.message_bytes(),
                buffer: buffers.get_mut(index).as_mut_ptr(),
                length: shape.message_len(),
                tag: index as u32,
            };
            let heard = |tag, notice, counts: &mut CallCounts| note(buffers, tag, notice, counts);
            // SAFETY: the buffers are never given back, and this one is not used before the
            // kernel says that it is free.
            unsafe { ring.read_and_send(&message, counts, send, heard)? };
        }
        while buffers.any_busy() {
            ring.listen(counts, |tag, notice, counts| note(buffers, tag, notice, counts))?;
        }
        Ok(())
    }
}
