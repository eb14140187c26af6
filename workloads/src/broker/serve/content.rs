//! Choosing the messages that an order asks for, by their content in the mapped log.

use super::deliver::Stopped;
use crate::{
    Error,
    broker::{
        record::{HEADER, Header},
        store::Store,
        wire::Order,
    },
};

/// Passes each chosen message to `send`, with its header, and returns the offset to resume from.
pub fn each(
    store: &Store,
    order: &Order<'_>,
    mut send: impl FnMut(&Header, &[u8]) -> Result<(), Stopped>,
) -> Result<u64, Stopped> {
    let bytes = store.content(order.source)?;
    let mut at = store.first_from(order);
    let mut left = order.most;
    while left > 0 && (at as usize) < bytes.len() {
        let rest = &bytes[at as usize..];
        // Verified when it was written, or at start-up: the checksum is not checked again.
        let header = Header::read(rest).ok().filter(|header| header.offset == at);
        let Some((header, record)) =
            header.and_then(|header| Some((header, rest.get(..header.length)?)))
        else {
            return Err(Error::Refused(format!(
                "no message begins at offset {at}: ask from an offset that a message had, or 0"
            ))
            .into());
        };
        if order.wants(&header, &record[HEADER..HEADER + header.tag]) {
            send(&header, record)?;
            left -= 1;
        }
        at += header.length as u64;
    }
    Ok(at)
}
