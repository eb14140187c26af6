//! `pread` into a buffer that is free, `send` it with `MSG_ZEROCOPY`: the socket takes the buffer's pages
//! instead of a copy, and a notification on the socket's error queue tells when they are free again.

use crate::{
    Result, Route,
    counts::CallCounts,
    protocol::Service,
    strategy::{
        buffers::Buffers,
        calls,
        contract::{Failure, Job, Strategy, Transfer},
        counterpart::Counterpart,
        notifications::Notifications,
    },
};

/// The most sends without a notification yet: one for each buffer, and more where a send took less than a
/// buffer.
const MOST_IN_FLIGHT: u32 = 256;

pub static STRATEGY: Strategy = Strategy {
    name: "msg-zerocopy",
    summary: "pread() each message into a free buffer, send() it with MSG_ZEROCOPY",
    needs: "Linux 4.14",
    route: Route::FileToSocket,
    counterpart: Counterpart::Consumer(Service::Receive),
    calls: &["pread64", "sendto", "poll", "recvmsg"],
    prepare,
};

fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    Ok(Box::new(Prepared {
        notifications: Notifications::ask_for(job.socket, "use Linux 4.14 or newer")?,
        job: *job,
        buffers: Buffers::new(job.shape)?,
        buffer_of: [0; MOST_IN_FLIGHT as usize],
    }))
}

struct Prepared<'a> {
    job: Job<'a>,
    buffers: Buffers,
    notifications: Notifications,
    /// The buffer of each send that may be in flight, by its number.
    buffer_of: [usize; MOST_IN_FLIGHT as usize],
}

impl Transfer for Prepared<'_> {
    fn run(&mut self, counts: &mut CallCounts) -> Result<(), Failure> {
        let Job { file, shape, .. } = self.job;
        for message in 0..shape.messages() {
            let index = self.buffers.index_for(message);
            while self.buffers.is_busy(index) {
                self.wait(counts)?;
            }
            let offset = message * shape.message_bytes();
            calls::pread_full(file, self.buffers.get_mut(index), offset, counts)?;
            self.send(index, counts)?;
        }
        while self.notifications.in_flight() > 0 {
            self.wait(counts)?;
        }
        Ok(())
    }
}

impl Prepared<'_> {
    fn send(&mut self, index: usize, counts: &mut CallCounts) -> Result<(), Failure> {
        let mut done = 0;
        while done < self.buffers.get(index).len() {
            while self.notifications.in_flight() == MOST_IN_FLIGHT {
                self.wait(counts)?;
            }
            let rest = &self.buffers.get(index)[done..];
            match self.notifications.send(self.job.socket, rest, counts)? {
                Some((send, sent)) => {
                    done += sent;
                    self.buffer_of[slot(send)] = index;
                    self.buffers.started(index);
                }
                None => self.wait(counts)?,
            }
        }
        Ok(())
    }

    /// Waits for the notifications of some sends.
    fn wait(&mut self, counts: &mut CallCounts) -> Result<(), Failure> {
        let Self { job, buffers, notifications, buffer_of } = self;
        notifications.wait(job.socket, counts, |send| buffers.ended(buffer_of[slot(send)]))
    }
}

fn slot(send: u32) -> usize {
    (send % MOST_IN_FLIGHT) as usize
}
