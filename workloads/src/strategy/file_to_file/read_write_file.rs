//! `read` into a buffer, `write` out of it to another file.

use crate::{
    Result, Route,
    strategy::{
        contract::{Job, Strategy, Transfer},
        counterpart::Counterpart,
        file_to_socket::read_write,
    },
};

pub static STRATEGY: Strategy = Strategy {
    name: "read-write-file",
    summary: "read() each message into a buffer, write() it to another file",
    needs: "any Linux",
    route: Route::FileToFile,
    counterpart: Counterpart::File,
    calls: &["read", "write"],
    prepare,
};

fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    read_write::prepare(job)
}
