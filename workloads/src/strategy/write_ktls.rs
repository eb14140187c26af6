//! As `read-write`, to a socket that the kernel encrypts for.

use super::{Job, Strategy, Transfer, kernel_tls, read_write::ReadWrite};
use crate::{Result, protocol::Service};

pub struct WriteKtls;

impl Strategy for WriteKtls {
    fn name(&self) -> &'static str {
        "write-ktls"
    }

    fn summary(&self) -> &'static str {
        "as read-write, but the kernel encrypts what is sent (kTLS)"
    }

    fn needs(&self) -> &'static str {
        "Linux 4.13"
    }

    fn service(&self) -> Service {
        Service::ReceiveTls
    }

    fn prepare<'a>(&self, job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
        kernel_tls::begin(job)?;
        ReadWrite.prepare(job)
    }
}
