//! `send` each message from memory, in as many datagrams as it needs.

use rustix::net::{SendFlags, send};

use super::{Failure, Job, Route, Strategy, Transfer, calls, datagrams::Datagrams};
use crate::{Result, protocol::Service, tally::Tally};

pub struct UdpSend;

impl Strategy for UdpSend {
    fn name(&self) -> &'static str {
        "udp-send"
    }

    fn summary(&self) -> &'static str {
        "send() each message from memory, in datagrams as long as the device takes"
    }

    fn needs(&self) -> &'static str {
        "any Linux"
    }

    fn route(&self) -> Route {
        Route::Datagrams
    }

    fn service(&self) -> Service {
        Service::Datagrams
    }

    fn prepare<'a>(&self, job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
        Ok(Box::new(Prepared { job: *job, datagrams: Datagrams::new(job)? }))
    }
}

struct Prepared<'a> {
    job: Job<'a>,
    datagrams: Datagrams,
}

impl Transfer for Prepared<'_> {
    fn run(&mut self, tally: &mut Tally) -> Result<(), Failure> {
        let socket = self.job.socket;
        self.datagrams.iter().try_for_each(|datagram| {
            calls::pass_all("sendto", datagram, tally, |rest| {
                send(socket, rest, SendFlags::empty())
            })
        })
    }
}
