//! The protocol of a connection: records in both directions, each request answered before the next. See
//! [`RecordKind`].

use std::{
    io::{self, Read},
    time::Duration,
};

use super::record::{HEADER, Header, Record, RecordKind};

/// The logs that messages can be asked from.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The commit log.
    Messages = 0,
    /// The dead-letter log.
    DeadLetters = 1,
}

/// Bytes of an order's body: the log, `most`, and `wait`.
const BODY: usize = 9;

/// A consumer's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order<'a> {
    /// The log.
    pub source: Source,
    /// The consumer's group.
    pub group: u32,
    /// The first offset; 0 for the group's progress, or the beginning.
    pub from: u64,
    /// Only messages of this tag; any message if empty.
    pub tag: &'a [u8],
    /// The most messages.
    pub most: u32,
    /// How long to wait for the first one, in whole milliseconds.
    pub wait: Duration,
}

impl<'a> Order<'a> {
    /// Everything that a group has not received yet, without waiting.
    pub fn all(group: u32) -> Self {
        Self {
            source: Source::Messages,
            group,
            from: 0,
            tag: &[],
            most: u32::MAX,
            wait: Duration::ZERO,
        }
    }

    /// Encodes the order as a record.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let wait = u32::try_from(self.wait.as_millis()).unwrap_or(u32::MAX);
        let mut body = [0; BODY];
        body[0] = self.source as u8;
        body[1..5].copy_from_slice(&self.most.to_le_bytes());
        body[5..].copy_from_slice(&wait.to_le_bytes());
        let mark = Record::mark(RecordKind::Fetch, self.group, self.from);
        Record { tag: self.tag, body: &body, ..mark }.encode(out);
    }

    /// Decodes a record; none if it is not an order.
    pub fn decode(record: &Record<'a>) -> Option<Self> {
        let body: &[u8; BODY] = record.body.try_into().ok()?;
        let [source, m0, m1, m2, m3, w0, w1, w2, w3] = *body;
        Some(Self {
            source: match source {
                0 => Source::Messages,
                1 => Source::DeadLetters,
                _ => return None,
            },
            group: record.group,
            from: record.origin,
            tag: record.tag,
            most: u32::from_le_bytes([m0, m1, m2, m3]),
            wait: Duration::from_millis(u32::from_le_bytes([w0, w1, w2, w3]).into()),
        })
    }

    /// Whether the order asks for a message with this header and tag.
    pub fn wants(&self, header: &Header, tag: &[u8]) -> bool {
        let visible = match (self.source, header.kind) {
            (Source::Messages, RecordKind::Message) => true,
            (Source::Messages, RecordKind::Retry) => header.group == self.group,
            (Source::DeadLetters, RecordKind::Dead) => true,
            _ => false,
        };
        visible && (self.tag.is_empty() || self.tag == tag)
    }
}

/// Reads the next record of a stream into `buffer`; none when the stream ends before one begins.
pub fn read<'a>(stream: &mut impl Read, buffer: &'a mut Vec<u8>) -> io::Result<Option<Record<'a>>> {
    buffer.clear();
    stream.take(HEADER as u64).read_to_end(buffer)?;
    if buffer.is_empty() {
        return Ok(None);
    }
    let header = Header::read(buffer).map_err(invalid)?;
    stream.take((header.length - HEADER) as u64).read_to_end(buffer)?;
    Record::decode(buffer).map(Some).map_err(invalid)
}

fn invalid(flaw: super::record::Flaw) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no record came: {flaw}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_order_survives_the_wire(
            dead: bool, group: u32, from: u64, tag in prop::collection::vec(any::<u8>(), 0..9),
            most: u32, wait: u32,
        ) {
            let source = if dead { Source::DeadLetters } else { Source::Messages };
            let wait = Duration::from_millis(wait.into());
            let order = Order { source, group, from, tag: &tag, most, wait };
            let mut wire = Vec::new();
            order.encode(&mut wire);
            let mut buffer = Vec::new();
            let record = read(&mut &wire[..], &mut buffer).unwrap().unwrap();
            prop_assert_eq!(Order::decode(&record), Some(order));
        }
    }

    #[test]
    fn a_stream_ends_between_records_only() {
        let mut wire = Vec::new();
        Record::message("tag", b"body").encode(&mut wire);
        let mut buffer = Vec::new();
        let mut stream = &wire[..];
        assert!(read(&mut stream, &mut buffer).unwrap().is_some());
        assert!(read(&mut stream, &mut buffer).unwrap().is_none());
        for part in [1, HEADER - 1, HEADER, wire.len() - 1] {
            let error = read(&mut &wire[..part], &mut buffer).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        }
    }
}
