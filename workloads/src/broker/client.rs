//! The other side of a connection to a broker: a producer, a consumer, or both.

use std::{
    io::{self, BufReader, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use super::{
    record::{LONGEST_BODY, LONGEST_TAG, Record, RecordKind},
    redelivery::{Redelivery, TRIES},
    transaction::Fate,
    wire::{self, Order},
};
use crate::{Error, Result};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest silence of a broker before the client gives up.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes read at a time.
const BUFFER: usize = 256 << 10;

/// A connection to a broker. Every request is answered before the next.
#[derive(Debug)]
pub struct Client {
    input: BufReader<TcpStream>,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Client {
    /// Connects to a broker.
    pub fn connect(broker: SocketAddr) -> Result<Self> {
        let socket = TcpStream::connect_timeout(&broker, CONNECT_TIMEOUT)
            .map_err(Error::os(format!("connect to the broker at {broker}")))?;
        socket
            .set_nodelay(true)
            .and_then(|()| socket.set_read_timeout(Some(STALL_TIMEOUT)))
            .and_then(|()| socket.set_write_timeout(Some(STALL_TIMEOUT)))
            .map_err(Error::os("set the connection's options"))?;
        let input = BufReader::with_capacity(BUFFER, socket);
        Ok(Self { input, request: Vec::new(), answer: Vec::new() })
    }

    /// Sends a message, waits until it is on disk, and returns its offset.
    pub fn produce(&mut self, tag: &str, body: &[u8]) -> Result<u64> {
        self.send(RecordKind::Message, tag, body)
    }

    /// Sends a message that stays invisible until it is committed; returns the offset to commit it by.
    pub fn begin(&mut self, tag: &str, body: &[u8]) -> Result<u64> {
        self.send(RecordKind::Half, tag, body)
    }

    /// Ends a transaction; returns the offset of the record that ended it.
    pub fn end(&mut self, half: u64, fate: Fate) -> Result<u64> {
        let kind = match fate {
            Fate::Committed => RecordKind::Commit,
            Fate::RolledBack => RecordKind::Rollback,
        };
        self.ask(&Record::mark(kind, 0, half)).map(|done| done.origin)
    }

    /// Reports that the group failed with a message.
    pub fn failed(&mut self, group: u32, offset: u64) -> Result<Redelivery> {
        let done = self.ask(&Record::mark(RecordKind::Failed, group, offset))?;
        Ok(match done.tries {
            TRIES.. => Redelivery::Dead(done.origin),
            _ => Redelivery::Again(done.origin),
        })
    }

    /// Reports that the group is done with all messages before `next`.
    pub fn advance(&mut self, group: u32, next: u64) -> Result<()> {
        self.ask(&Record::mark(RecordKind::Progress, group, next)).map(drop)
    }

    /// Passes every message of an order to `each`; returns the offset to resume from.
    pub fn fetch(&mut self, order: &Order<'_>, mut each: impl FnMut(&Record<'_>)) -> Result<u64> {
        self.request.clear();
        order.encode(&mut self.request);
        self.write()?;
        loop {
            let record = next(&mut self.input, &mut self.answer)?;
            match record.kind {
                RecordKind::End => return Ok(record.origin),
                RecordKind::Refused => return Err(refused(&record)),
                _ => each(&record),
            }
        }
    }

    fn send(&mut self, kind: RecordKind, tag: &str, body: &[u8]) -> Result<u64> {
        if tag.len() > LONGEST_TAG || body.len() > LONGEST_BODY {
            return Err(Error::Refused(format!(
                "a message of {} bytes with a tag of {} is too long: {LONGEST_BODY} and \
                 {LONGEST_TAG} are the most",
                body.len(),
                tag.len()
            )));
        }
        self.ask(&Record { kind, ..Record::message(tag, body) }).map(|done| done.origin)
    }

    fn ask(&mut self, request: &Record<'_>) -> Result<Record<'_>> {
        self.request.clear();
        request.encode(&mut self.request);
        self.write()?;
        let record = next(&mut self.input, &mut self.answer)?;
        match record.kind {
            RecordKind::Refused => Err(refused(&record)),
            _ => Ok(record),
        }
    }

    fn write(&mut self) -> Result<()> {
        self.input.get_ref().write_all(&self.request).map_err(Error::os("ask the broker"))
    }
}

fn next<'a>(input: &mut BufReader<TcpStream>, buffer: &'a mut Vec<u8>) -> Result<Record<'a>> {
    let hear = || Error::os("hear the broker");
    wire::read(input, buffer)
        .map_err(hear())?
        .ok_or_else(|| hear()(io::ErrorKind::UnexpectedEof.into()))
}

fn refused(record: &Record<'_>) -> Error {
    Error::Refused(String::from_utf8_lossy(record.body).into_owned())
}
