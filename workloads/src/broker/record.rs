//! The one format of the broker, on disk and on its connections.
//!
//! A record is a header of [`HEADER`] bytes, a tag and a body. All numbers are little-endian:
//!
//! | at | bytes | |
//! |---|---|---|
//! | 0 | 4 | length of the whole record |
//! | 4 | 4 | CRC-32 of all that follows |
//! | 8 | 1 | [`RecordKind`] |
//! | 9 | 1 | tries: how often a consumer failed with the message |
//! | 10 | 2 | length of the tag |
//! | 12 | 4 | consumer group; 0 for none |
//! | 16 | 8 | offset: where the record begins in its log |
//! | 24 | 8 | origin: the offset of another record, see [`RecordKind`] |

use std::fmt;

/// Bytes of a header.
pub const HEADER: usize = 32;
/// Bytes of the longest tag.
pub const LONGEST_TAG: usize = 255;
/// Bytes of the longest body.
pub const LONGEST_BODY: usize = 16 << 20;

/// The end of the checksum, and the beginning of the bytes that it covers.
const CHECKED: usize = 8;

/// The kinds of records. Those below 16 are stored on disk.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// A message. Its origin is that of the [`RecordKind::Half`] it was committed from, or 0.
    Message = 1,
    /// A message of a transaction that is not committed: invisible to consumers.
    Half = 2,
    /// The transaction of the half message at the origin was rolled back.
    Rollback = 3,
    /// The message at the origin again, for the group that failed with it.
    Retry = 4,
    /// The message at the origin, with which one group failed too often.
    Dead = 5,
    /// A group is done with all messages before the origin.
    Progress = 6,
    /// Asks to commit the half message at the origin.
    Commit = 16,
    /// Reports that a group failed with the message at the origin.
    Failed = 17,
    /// Asks for messages from the origin on; see [`super::wire::Order`].
    Fetch = 18,
    /// Success; the origin is the result.
    Done = 32,
    /// Failure; the body has the reason.
    Refused = 33,
    /// No more messages now; the origin is the offset to resume from.
    End = 34,
}

impl RecordKind {
    const ALL: [Self; 12] = [
        Self::Message,
        Self::Half,
        Self::Rollback,
        Self::Retry,
        Self::Dead,
        Self::Progress,
        Self::Commit,
        Self::Failed,
        Self::Fetch,
        Self::Done,
        Self::Refused,
        Self::End,
    ];

    fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// A record, its tag and body borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its kind.
    pub kind: RecordKind,
    /// How often a consumer failed with the message.
    pub tries: u8,
    /// Consumer group, or 0.
    pub group: u32,
    /// Its offset in its log, or 0 before it is stored.
    pub offset: u64,
    /// The offset of another record, or 0.
    pub origin: u64,
    /// The tag, by which consumers choose messages.
    pub tag: &'a [u8],
    /// The content.
    pub body: &'a [u8],
}

/// A decoded header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the whole record.
    pub length: usize,
    /// Bytes of its tag.
    pub tag: usize,
    /// See [`Record`].
    pub kind: RecordKind,
    /// See [`Record`].
    pub tries: u8,
    /// See [`Record`].
    pub group: u32,
    /// See [`Record`].
    pub offset: u64,
    /// See [`Record`].
    pub origin: u64,
    checksum: u32,
}

/// Reasons why bytes are not a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The bytes end before the record does.
    Short,
    /// The length is impossible for a record.
    Length(u32),
    /// The kind is unknown.
    RecordKind(u8),
    /// The checksum does not match.
    Checksum,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("it ends too early"),
            Self::Length(length) => write!(f, "no record is {length} bytes long"),
            Self::RecordKind(kind) => write!(f, "no record is of kind {kind}"),
            Self::Checksum => f.write_str("its checksum is of other bytes"),
        }
    }
}

impl Header {
    /// Reads the header at the beginning of `bytes`, without a check of the checksum.
    pub fn read(bytes: &[u8]) -> Result<Self, Flaw> {
        let bytes: &[u8; HEADER] = bytes.first_chunk().ok_or(Flaw::Short)?;
        let length = u32_at(bytes, 0);
        let tag = usize::from(u16::from_le_bytes([bytes[10], bytes[11]]));
        let shortest = HEADER + tag;
        let longest = shortest + LONGEST_BODY;
        if tag > LONGEST_TAG || !(shortest..=longest).contains(&(length as usize)) {
            return Err(Flaw::Length(length));
        }
        Ok(Self {
            length: length as usize,
            tag,
            kind: RecordKind::of(bytes[8]).ok_or(Flaw::RecordKind(bytes[8]))?,
            tries: bytes[9],
            group: u32_at(bytes, 12),
            offset: u64_at(bytes, 16),
            origin: u64_at(bytes, 24),
            checksum: u32_at(bytes, 4),
        })
    }
}

impl<'a> Record<'a> {
    /// A record without content: a request, an answer, or a mark in a log.
    pub fn mark(kind: RecordKind, group: u32, origin: u64) -> Self {
        Self { kind, tries: 0, group, offset: 0, origin, tag: &[], body: &[] }
    }

    /// A new message.
    pub fn message(tag: &'a str, body: &'a [u8]) -> Self {
        Self { tag: tag.as_bytes(), body, ..Record::mark(RecordKind::Message, 0, 0) }
    }

    /// Bytes of the encoded record.
    pub fn length(&self) -> usize {
        HEADER + self.tag.len() + self.body.len()
    }

    /// Appends the encoded record. Tag and body must not be longer than the longest ones.
    pub fn encode(&self, out: &mut Vec<u8>) {
        debug_assert!(self.tag.len() <= LONGEST_TAG && self.body.len() <= LONGEST_BODY);
        let start = out.len();
        out.reserve(self.length());
        out.extend((self.length() as u32).to_le_bytes());
        out.extend([0; 4]);
        out.extend([self.kind as u8, self.tries]);
        out.extend((self.tag.len() as u16).to_le_bytes());
        out.extend(self.group.to_le_bytes());
        out.extend(self.offset.to_le_bytes());
        out.extend(self.origin.to_le_bytes());
        out.extend_from_slice(self.tag);
        out.extend_from_slice(self.body);
        let checksum = crc32fast::hash(&out[start + CHECKED..]);
        out[start + 4..start + CHECKED].copy_from_slice(&checksum.to_le_bytes());
    }

    /// Reads the record at the beginning of `bytes`, and ignores the rest.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Flaw> {
        let header = Header::read(bytes)?;
        let whole = bytes.get(..header.length).ok_or(Flaw::Short)?;
        if crc32fast::hash(&whole[CHECKED..]) != header.checksum {
            return Err(Flaw::Checksum);
        }
        let (tag, body) = whole[HEADER..].split_at(header.tag);
        let Header { kind, tries, group, offset, origin, .. } = header;
        Ok(Self { kind, tries, group, offset, origin, tag, body })
    }
}

fn u32_at(bytes: &[u8; HEADER], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

fn u64_at(bytes: &[u8; HEADER], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(record: &Record<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        bytes
    }

    prop_compose! {
        fn fields()(
            kind in prop::sample::select(RecordKind::ALL.to_vec()),
            numbers: (u8, u32, u64, u64),
            tag in prop::collection::vec(any::<u8>(), 0..=LONGEST_TAG),
            body in prop::collection::vec(any::<u8>(), 0..5000),
        ) -> (RecordKind, (u8, u32, u64, u64), Vec<u8>, Vec<u8>) {
            (kind, numbers, tag, body)
        }
    }

    proptest! {
        #[test]
        fn a_record_survives_disk_and_wire(
            (kind, (tries, group, offset, origin), tag, body) in fields(), after: Vec<u8>
        ) {
            let record = Record { kind, tries, group, offset, origin, tag: &tag, body: &body };
            let mut bytes = encoded(&record);
            prop_assert_eq!(bytes.len(), record.length());
            bytes.extend(after);
            prop_assert_eq!(Record::decode(&bytes), Ok(record));
        }

        #[test]
        fn no_change_of_a_byte_goes_unnoticed(
            (kind, (tries, group, offset, origin), tag, body) in fields(),
            at: prop::sample::Index, change in 1_u8..,
        ) {
            let record = Record { kind, tries, group, offset, origin, tag: &tag, body: &body };
            let mut bytes = encoded(&record);
            bytes[at.index(record.length())] ^= change;
            prop_assert!(Record::decode(&bytes).is_err());
        }

        #[test]
        fn no_part_of_a_record_is_a_record(
            (kind, (tries, group, offset, origin), tag, body) in fields(), cut: prop::sample::Index
        ) {
            let record = Record { kind, tries, group, offset, origin, tag: &tag, body: &body };
            let bytes = encoded(&record);
            let part = &bytes[..cut.index(bytes.len())];
            prop_assert_eq!(Record::decode(part), Err(Flaw::Short));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Record::decode(&bytes);
        }
    }

    #[test]
    fn zeros_are_no_record() {
        assert_eq!(Record::decode(&[0; 4096]), Err(Flaw::Length(0)));
    }
}
