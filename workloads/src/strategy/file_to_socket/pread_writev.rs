//! `pread` the body of a message, `writev` it after a header from memory, as a broker that keeps an
//! index of its messages does.

use crate::{
    Result, Route,
    counts::CallCounts,
    page::touched_buffer,
    protocol::Service,
    strategy::{
        calls,
        contract::{Failure, Job, Strategy, Transfer},
        counterpart::Counterpart,
        memory::Memory,
    },
};

/// Bytes of a header: the first of each message, so that the payload is sent unchanged.
const HEADER: usize = 64;

pub static STRATEGY: Strategy = Strategy {
    name: "pread-writev",
    summary: "pread() the body of each message, writev() it after a header from memory",
    needs: "Linux 2.2",
    route: Route::FileToSocket,
    counterpart: Counterpart::Consumer(Service::Receive),
    calls: &["pread64", "writev"],
    prepare,
};

fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    let shape = job.shape;
    let header = HEADER.min(shape.message_len());
    let mut headers = Memory::new(header * shape.messages() as usize)?;
    for (index, header) in headers.chunks_exact_mut(header).enumerate() {
        let offset = index as u64 * shape.message_bytes();
        calls::pread_full(job.file, header, offset, &mut CallCounts::default())
            .map_err(|failure| failure.outside("read the headers"))?;
    }
    let body = touched_buffer(shape.message_len() - header);
    Ok(Box::new(Prepared { job: *job, header, headers, body }))
}

struct Prepared<'a> {
    job: Job<'a>,
    /// Bytes of one header.
    header: usize,
    headers: Memory,
    body: Vec<u8>,
}

impl Transfer for Prepared<'_> {
    fn run(&mut self, counts: &mut CallCounts) -> Result<(), Failure> {
        let Job { file, socket, shape, .. } = self.job;
        let mut offset = self.header as u64;
        for header in self.headers.chunks_exact(self.header) {
            calls::pread_full(file, &mut self.body, offset, counts)?;
            calls::writev_all(socket, [header, &self.body], counts)?;
            offset += shape.message_bytes();
        }
        Ok(())
    }
}
