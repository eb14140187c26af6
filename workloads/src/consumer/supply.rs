//! The consumer as a sender: it sends a payload that both ends can generate.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    os::fd::AsFd,
};

use rustix::{
    net::{RecvFlags, recv},
    pipe::{SpliceFlags, fcntl_getpipe_size, splice},
};

use crate::{
    Error, Shape, payload,
    protocol::{Answer, Order, Service},
    strategy::pipe::Pipe,
};

/// Sends the receiver's order after the start byte.
pub fn send(mut stream: &TcpStream, service: Service) -> io::Result<Answer> {
    let mut wire = [0; Order::LENGTH];
    stream.read_exact(&mut wire)?;
    let Order { seed, messages, message_bytes } = Order::decode(&wire);
    let invalid = |error: Error| io::Error::new(io::ErrorKind::InvalidData, error.to_string());
    let shape = Shape::new(messages, message_bytes).map_err(invalid)?;
    let mut content = Vec::new();
    content.try_reserve_exact(shape.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
    let hash = payload::generate(shape.bytes(), seed, &mut content)?;
    stream.set_nodelay(true)?;
    stream.write_all(&service.encode())?;
    // Discarded in the kernel: a copy of it would be measured.
    if recv(stream, &mut [0; 1], RecvFlags::TRUNC)?.0 == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    match service {
        Service::SendPages => send_pages(stream, &content, shape.message_len())?,
        _ => content.chunks(shape.message_len()).try_for_each(|part| stream.write_all(part))?,
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    Ok(Answer { bytes: shape.bytes(), hash })
}

/// Sends whole pages that the kernel can map into a receiver: pages of a pipe that was written to. Pages
/// of a program or of a file cannot be mapped.
fn send_pages(stream: &TcpStream, content: &[u8], message: usize) -> io::Result<()> {
    let pipe = Pipe::holding(message).map_err(|error| io::Error::other(error.to_string()))?;
    let capacity = fcntl_getpipe_size(pipe.writer())?;
    let (writer, reader) = pipe.into_ends();
    for part in content.chunks(message).flat_map(|message| message.chunks(capacity)) {
        let mut rest = rustix::io::write(&writer, part)?;
        if rest < part.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        while rest > 0 {
            rest -= splice(&reader, None, stream.as_fd(), None, rest, SpliceFlags::empty())?;
        }
    }
    Ok(())
}
