//! `send` into a Unix stream socket, from which another process receives.

use rustix::net::{SendFlags, send};

use crate::{
    Result, Route,
    strategy::{
        calls,
        contract::{Job, Strategy, Transfer},
        counterpart::{Channel, Counterpart},
        memory::FromMemory,
    },
};

pub static STRATEGY: Strategy = Strategy {
    name: "unix-stream",
    summary: "send() each message from memory into a unix socket, the other process recv()s it",
    needs: "any Linux",
    route: Route::ProcessToProcess,
    counterpart: Counterpart::Process(Channel::UnixStream),
    calls: &[],
    prepare,
};

fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    FromMemory::prepare(job, |job, message, counts| {
        calls::pass_all("sendto", message, counts, |rest| {
            send(job.socket, rest, SendFlags::empty())
        })
    })
}
