//! A file at the far end.

use std::{
    fs::File,
    os::fd::{AsFd, BorrowedFd},
};

use super::{
    extents,
    far_end::{Arrived, FarEnd},
    request::Request,
};
use crate::{Error, Result, Shape, payload, protocol::Answer};

/// The destination: an empty file without a name, beside the payload.
pub struct Destination {
    file: File,
    shape: Shape,
}

impl Destination {
    pub fn create(request: &Request) -> Result<Self> {
        let shape = request.shape;
        Ok(Self { file: payload::empty(&request.dir, shape)?, shape })
    }
}

impl FarEnd for Destination {
    fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Reads the file from its beginning.
    fn arrived(&self) -> Result<Arrived> {
        let answer = Answer::of_file(&self.file);
        answer.map(Into::into).map_err(Error::os("read the file that was written"))
    }

    fn shared_bytes(&self) -> u64 {
        extents::shared(self.fd(), self.shape.bytes())
    }
}
