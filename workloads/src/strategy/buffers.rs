//! A ring of buffers for zero-copy sends: the kernel still reads a buffer after its send has returned.

use rustix::{
    process::{Resource, getrlimit},
    thread::{CapabilitySet, capabilities},
};

use super::memory::Memory;
use crate::{Error, Result, Shape, page};

/// More buffers would only be busy for longer.
const MOST: u64 = 16;
/// The pages of all buffers are pinned, for which an unprivileged user has a limit of a few MiB.
const MOST_BYTES: u64 = 4 << 20;

/// Buffers of one message each, used in turn.
pub struct Buffers {
    memory: Memory,
    /// Bytes of a buffer.
    length: usize,
    /// For each buffer, the number of sends that still read it.
    sends: Vec<u32>,
}

impl Buffers {
    /// At least two, so that one can be filled while the other is sent.
    pub fn new(shape: Shape) -> Result<Self> {
        check_limit(shape.message_bytes())?;
        let count = (MOST_BYTES / shape.message_bytes()).clamp(2, MOST).min(shape.messages());
        let length = shape.message_len();
        let count = count as usize;
        Ok(Self { memory: Memory::new(count * length)?, length, sends: vec![0; count] })
    }

    /// The buffer of a message.
    pub fn index_for(&self, message: u64) -> usize {
        (message % self.sends.len() as u64) as usize
    }

    /// Its content.
    pub fn get(&self, index: usize) -> &[u8] {
        &self.memory[index * self.length..][..self.length]
    }

    /// The content of a buffer, to fill while it is not busy: a send reads it after its call has
    /// returned.
    pub fn get_mut(&mut self, index: usize) -> &mut [u8] {
        &mut self.memory[index * self.length..][..self.length]
    }

    /// Whether a send still reads it.
    pub fn is_busy(&self, index: usize) -> bool {
        self.sends[index] > 0
    }

    /// Whether a send still reads any of them.
    pub fn any_busy(&self) -> bool {
        self.sends.iter().any(|sends| *sends > 0)
    }

    /// Notes a send from a buffer.
    pub fn started(&mut self, index: usize) {
        self.sends[index] += 1;
    }

    /// Notes that the kernel is done with a send from a buffer.
    pub fn ended(&mut self, index: usize) {
        self.sends[index] -= 1;
    }
}

/// Checks the limit of pinned pages for one send: see `mm_account_pinned_pages` in the kernel.
pub fn check_limit(bytes: u64) -> Result<()> {
    let own = capabilities(None).map_err(Error::os("ask for this process's capabilities"))?;
    let limit = getrlimit(Resource::Memlock).current.unwrap_or(u64::MAX);
    let needed = bytes + 2 * page::size() as u64;
    if own.effective.contains(CapabilitySet::IPC_LOCK) || needed <= limit {
        return Ok(());
    }
    let reason = format!(
        "a zero-copy send pins {} here, and RLIMIT_MEMLOCK allows {}: raise it (`ulimit -l`), choose \
         a smaller message size, or run as root",
        tracer_ledger::size(needed),
        tracer_ledger::size(limit)
    );
    Err(Error::Unsupported { reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(messages: u64, bytes: u64) -> usize {
        Buffers::new(Shape::new(messages, bytes).unwrap()).unwrap().sends.len()
    }

    #[test]
    fn there_are_a_few_and_no_more_than_messages() {
        assert_eq!(count(256, 64 << 10), 16);
        assert_eq!(count(256, 1 << 20), 4);
        assert_eq!(count(256, 5_000_000), 2);
        assert_eq!(count(1, 64 << 10), 1);
    }

    #[test]
    fn one_is_busy_as_long_as_any_of_its_sends() {
        let mut buffers = Buffers::new(Shape::new(100, 4096).unwrap()).unwrap();
        assert_eq!(buffers.index_for(17), 1);
        buffers.started(1);
        buffers.started(1);
        buffers.ended(1);
        assert!(buffers.is_busy(1) && !buffers.is_busy(0));
        buffers.ended(1);
        assert!(!buffers.is_busy(1));
    }
}
