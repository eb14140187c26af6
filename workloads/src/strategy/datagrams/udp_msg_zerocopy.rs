//! `send` with `MSG_ZEROCOPY` each message from memory, in as many datagrams as it needs: the packets
//! refer to its pages instead of a copy, and a notification on the socket's error queue tells when the
//! pages are free again.

use super::cut::Datagrams;
use crate::{
    Result, Route,
    counts::CallCounts,
    strategy::{
        buffers::check_limit,
        contract::{Failure, Job, Strategy, Transfer},
        counterpart::Counterpart,
        notifications::Notifications,
    },
};

pub static STRATEGY: Strategy = Strategy {
    name: "udp-msg-zerocopy",
    summary: "send() each message from memory, in datagrams, with MSG_ZEROCOPY",
    needs: "Linux 5.0",
    route: Route::Datagrams,
    counterpart: Counterpart::Datagrams,
    calls: &[],
    prepare,
};

fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    let datagrams = Datagrams::new(job)?;
    check_limit(datagrams.length() as u64)?;
    let notifications = Notifications::ask_for(job.socket, "use Linux 5.0 or newer")?;
    Ok(Box::new(Prepared { job: *job, datagrams, notifications }))
}

struct Prepared<'a> {
    job: Job<'a>,
    datagrams: Datagrams,
    notifications: Notifications,
}

impl Transfer for Prepared<'_> {
    /// The payload does not change: no notification has to be awaited before the next send.
    fn run(&mut self, counts: &mut CallCounts) -> Result<(), Failure> {
        let Self { job, datagrams, notifications } = self;
        let socket = job.socket;
        for datagram in datagrams.iter() {
            while notifications.send(socket, datagram, counts)?.is_none() {
                // Half of the sends in flight: otherwise every other send would be refused.
                let half = notifications.in_flight() / 2;
                while notifications.in_flight() > half {
                    notifications.wait(socket, counts, |_| ())?;
                }
            }
        }
        while notifications.in_flight() > 0 {
            notifications.wait(socket, counts, |_| ())?;
        }
        Ok(())
    }
}
