//! As `read-write`, to a socket with kernel TLS.

use super::{kernel_tls, read_write};
use crate::{
    Result, Route,
    protocol::Service,
    strategy::{
        contract::{Job, Strategy, Transfer},
        counterpart::Counterpart,
    },
};

pub static STRATEGY: Strategy = Strategy {
    name: "write-ktls",
    summary: "as read-write, but the kernel encrypts what is sent (kTLS)",
    needs: "Linux 4.13",
    route: Route::FileToSocket,
    counterpart: Counterpart::Consumer(Service::ReceiveTls),
    calls: &[],
    prepare,
};

fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    kernel_tls::begin(job)?;
    read_write::prepare(job)
}
