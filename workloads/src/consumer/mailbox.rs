//! The consumer's side of datagrams: a socket of its own beside the connection, on which it receives
//! until all bytes have come, or no more do.

use std::{
    io::{self, Read, Write},
    net::{TcpStream, UdpSocket},
    os::fd::AsFd,
    time::Duration,
};

use rustix::net::{RecvFlags, recv, sockopt};

use crate::protocol::{Answer, Mailbox};

/// More than the longest datagram.
const BUFFER: usize = 64 << 10;
/// The largest receive buffer that the kernel allows: it accounts twice as much.
const MOST: usize = i32::MAX as usize / 2;
/// After the sender's end, silence of this length means that the rest is lost.
const QUIET: Duration = Duration::from_millis(500);

/// Sends its port to the sender, and receives.
pub fn receive(mut stream: &TcpStream) -> io::Result<Answer> {
    let mut wire = [0; Mailbox::LENGTH];
    stream.read_exact(&mut wire)?;
    let Mailbox { port, bytes } = Mailbox::decode(&wire);
    let socket = UdpSocket::bind((stream.local_addr()?.ip(), 0))?;
    // Datagrams of other senders are refused.
    socket.connect((stream.peer_addr()?.ip(), port))?;
    socket.set_read_timeout(Some(QUIET))?;
    let own = Mailbox { port: socket.local_addr()?.port(), bytes: widen(&socket)? };
    stream.write_all(&own.encode())?;
    let answer = hash(&socket, bytes, || has_ended(stream))?;
    stream.write_all(&answer.encode())?;
    Ok(answer)
}

/// Enlarges the receive buffer as far as the kernel allows, and returns its size. The kernel accounts
/// more for a datagram than the bytes it holds.
fn widen(socket: &UdpSocket) -> io::Result<u64> {
    // Beyond the limit of the system only with CAP_NET_ADMIN.
    if sockopt::set_socket_recv_buffer_size_force(socket, MOST).is_err() {
        sockopt::set_socket_recv_buffer_size(socket, MOST)?;
    }
    Ok(sockopt::socket_recv_buffer_size(socket)? as u64)
}

/// Receives `bytes` bytes; fewer if the sender has ended and no more come.
fn hash(socket: &UdpSocket, bytes: u64, ended: impl Fn() -> bool) -> io::Result<Answer> {
    let mut buffer = vec![1; BUFFER];
    let mut hasher = blake3::Hasher::new();
    while hasher.count() < bytes {
        match socket.recv(&mut buffer) {
            Ok(received) => drop(hasher.update(&buffer[..received])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if ended() {
                    break;
                }
            }
            Err(error) => return Err(error),
        };
    }
    Ok(Answer { bytes: hasher.count(), hash: hasher.finalize() })
}

/// Whether the other end of a connection has shut its side, or is gone.
fn has_ended(stream: &TcpStream) -> bool {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    match recv(stream.as_fd(), &mut [0; 1], flags) {
        Ok((received, _)) => received == 0,
        Err(errno) => errno != rustix::io::Errno::AGAIN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (UdpSocket, UdpSocket) {
        let sockets = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let [sender, receiver] = sockets;
        sender.connect(receiver.local_addr().unwrap()).unwrap();
        receiver.set_read_timeout(Some(QUIET / 10)).unwrap();
        (sender, receiver)
    }

    #[test]
    fn it_ends_when_all_has_come() {
        let (sender, receiver) = pair();
        sender.send(b"one ").unwrap();
        sender.send(b"two").unwrap();
        let answer = hash(&receiver, 7, || panic!("all has come")).unwrap();
        assert_eq!(answer, Answer { bytes: 7, hash: blake3::hash(b"one two") });
    }

    #[test]
    fn what_is_missing_is_not_waited_for_once_the_sender_has_ended() {
        let (sender, receiver) = pair();
        sender.send(b"one ").unwrap();
        assert_eq!(hash(&receiver, 7, || true).unwrap().bytes, 4);
    }

    #[test]
    fn the_kernel_keeps_more_than_it_does_by_itself() {
        let (_, receiver) = pair();
        let before = sockopt::socket_recv_buffer_size(&receiver).unwrap() as u64;
        assert!(widen(&receiver).unwrap() >= before);
    }
}
