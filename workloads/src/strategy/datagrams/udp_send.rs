//! `send` each message from memory, in as many datagrams as it needs.

use rustix::net::{SendFlags, send};

use super::cut::Datagrams;
use crate::{
    Result, Route,
    counts::CallCounts,
    strategy::{
        calls,
        contract::{Failure, Job, Strategy, Transfer},
        counterpart::Counterpart,
    },
};

pub static STRATEGY: Strategy = Strategy {
    name: "udp-send",
    summary: "send() each message from memory, in datagrams as long as the device takes",
    needs: "any Linux",
    route: Route::Datagrams,
    counterpart: Counterpart::Datagrams,
    calls: &[],
    prepare,
};

fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    Ok(Box::new(Prepared { job: *job, datagrams: Datagrams::new(job)? }))
}

struct Prepared<'a> {
    job: Job<'a>,
    datagrams: Datagrams,
}

impl Transfer for Prepared<'_> {
    fn run(&mut self, counts: &mut CallCounts) -> Result<(), Failure> {
        let socket = self.job.socket;
        self.datagrams.iter().try_for_each(|datagram| {
            calls::pass_all("sendto", datagram, counts, |rest| {
                send(socket, rest, SendFlags::empty())
            })
        })
    }
}
