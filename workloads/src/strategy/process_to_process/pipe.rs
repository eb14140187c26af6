//! `write` into a pipe that another process reads.

use crate::{
    Result, Route,
    strategy::{
        contract::{Job, Strategy, Transfer},
        counterpart::{Channel, Counterpart},
        memory_to_socket::write,
    },
};

pub static STRATEGY: Strategy = Strategy {
    name: "pipe",
    summary: "write() each message from memory into a pipe, the other process read()s it",
    needs: "any Linux",
    route: Route::ProcessToProcess,
    counterpart: Counterpart::Process(Channel::Pipe),
    calls: &[],
    prepare,
};

fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    write::prepare(job)
}
