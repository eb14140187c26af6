//! `sendfile` to another file.

use crate::{
    Result, Route,
    strategy::{
        contract::{Job, Strategy, Transfer},
        counterpart::Counterpart,
        file_to_socket::sendfile,
    },
};

pub static STRATEGY: Strategy = Strategy {
    name: "sendfile-file",
    summary: "sendfile() each message from the file to another file",
    needs: "Linux 2.6.33",
    route: Route::FileToFile,
    counterpart: Counterpart::File,
    calls: &[],
    prepare,
};

fn prepare<'a>(job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
    sendfile::prepare(job)
}
