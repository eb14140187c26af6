//! As `sendfile`, to a socket that the kernel encrypts for.

use super::{Job, Strategy, Transfer, kernel_tls, sendfile::Sendfile};
use crate::{Result, protocol::Service};

pub struct SendfileKtls;

impl Strategy for SendfileKtls {
    fn name(&self) -> &'static str {
        "sendfile-ktls"
    }

    fn summary(&self) -> &'static str {
        "as sendfile, but the kernel encrypts what is sent (kTLS)"
    }

    fn needs(&self) -> &'static str {
        "Linux 4.13"
    }

    fn service(&self) -> Service {
        Service::ReceiveTls
    }

    fn prepare<'a>(&self, job: &Job<'a>) -> Result<Box<dyn Transfer + 'a>> {
        kernel_tls::begin(job)?;
        Sendfile.prepare(job)
    }
}
