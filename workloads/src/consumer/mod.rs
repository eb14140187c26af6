//! The consumer: carries out the request in the first bytes of a connection. As a rule it receives until
//! the sender shuts its side, and answers with count and hash.

mod mailbox;
mod supply;

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    thread,
    time::Duration,
};

use crate::{
    Error, Result, namespace, process,
    protocol::{Answer, ConsumerEvent, Service},
    tls,
};

/// Bytes read at a time.
const BUFFER: usize = 256 << 10;

/// Where a consumer listens.
#[derive(Clone, Debug, clap::Args)]
pub struct ListenArgs {
    /// Listen on this address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "0.0.0.0:0")]
    pub listen: SocketAddr,
    /// Listen in this network namespace, such as /run/netns/copytrace
    #[arg(long, value_name = "PATH")]
    pub netns: Option<PathBuf>,
}

/// The verb of the consumer.
pub(crate) const VERB: &str = "run-consumer";

/// Arguments of the consumer as a child of [`crate::driver::Consumer`].
#[derive(Clone, Debug, clap::Args)]
pub struct ConsumerArgs {
    #[command(flatten)]
    pub(crate) listen: ListenArgs,
    /// Process id of the driver
    #[arg(long)]
    pub(crate) parent: u32,
}

/// Runs as a child: prints its address as JSON, and serves until the parent ends it.
pub fn run(args: &ConsumerArgs) -> Result<()> {
    process::ignore_signals();
    process::die_with_parent(args.parent)?;
    let (listener, addr) = listen(&args.listen)?;
    process::emit(&ConsumerEvent::Listening { addr, pid: std::process::id() })?;
    serve(&listener, |_, received| {
        // The sender notices a broken connection and reports it. Of an error here, such as in making a
        // key, it sees the end of the connection only.
        if let Err(error) = received
            && matches!(error.kind(), io::ErrorKind::Other | io::ErrorKind::InvalidData)
        {
            note(format!("the consumer: {error}"));
        }
    })
}

/// Runs for a user: prints its address and the bytes it received, and serves until Ctrl-C.
pub fn consume(args: &ListenArgs) -> Result<()> {
    let (listener, addr) = listen(args)?;
    writeln!(io::stdout(), "listening on {addr}").map_err(Error::os("write to standard output"))?;
    serve(&listener, |peer, received| match received {
        Ok(answer) => note(format!("{peer}: {} bytes, blake3 {}", answer.bytes, answer.hash)),
        Err(error) => note(format!("{peer}: the connection broke: {error}")),
    })
}

/// Returns the listener and its address.
fn listen(args: &ListenArgs) -> Result<(TcpListener, SocketAddr)> {
    if let Some(path) = &args.netns {
        namespace::enter(path)?;
    }
    let listener = TcpListener::bind(args.listen).map_err(Error::os_advice(
        format!("listen on {}", args.listen),
        "choose an address of this machine and a free port with --listen",
    ))?;
    let mut addr = listener.local_addr().map_err(Error::os("ask for the listener's address"))?;
    if args.netns.is_some() && addr.ip() == IpAddr::V4(Ipv4Addr::UNSPECIFIED) {
        addr.set_ip(namespace::outside_address()?.ok_or(Error::NoAddress)?.into());
    }
    Ok((listener, addr))
}

/// Serves each connection in a thread of its own, for ever.
fn serve(listener: &TcpListener, report: fn(SocketAddr, io::Result<Answer>)) -> Result<()> {
    loop {
        match listener.accept() {
            Ok((stream, peer)) => {
                thread::spawn(move || report(peer, attend(&stream)));
            }
            Err(error) => {
                note(format!("cannot accept a connection: {error}"));
                // Out of descriptors, as a rule: some will be free soon.
                thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

/// Writes a line to standard error, in one piece: connections end at the same time.
fn note(mut line: String) {
    line.push('\n');
    // There is no other place to report it.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Carries out the sender's request.
fn attend(mut stream: &TcpStream) -> io::Result<Answer> {
    let mut wire = [0; Service::LENGTH];
    stream.read_exact(&mut wire)?;
    let unknown = || io::Error::new(io::ErrorKind::InvalidData, "it asked for nothing known here");
    let service = Service::decode(&wire).ok_or_else(unknown)?;
    stream.write_all(&wire)?;
    match service {
        Service::Receive => receive(stream, |buffer| Ok(rustix::io::read(stream, buffer)?)),
        Service::ReceiveTls => {
            let mut plain = tls::accept(stream)?;
            receive(stream, |buffer| match plain.read(buffer) {
                // The kernel ends a stream without TLS's own end.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
                read => read,
            })
        }
        Service::Send | Service::SendPages => supply::send(stream, service),
        Service::Datagrams => mailbox::receive(stream),
    }
}

/// Receives everything that `read` returns, and answers.
fn receive(
    mut stream: &TcpStream,
    mut read: impl FnMut(&mut [u8]) -> io::Result<usize>,
) -> io::Result<Answer> {
    let mut buffer = vec![1; BUFFER];
    let mut hasher = blake3::Hasher::new();
    loop {
        match read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => hasher.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
    }
    let answer = Answer { bytes: hasher.count(), hash: hasher.finalize() };
    stream.write_all(&answer.encode())?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use std::net::Shutdown;

    use proptest::prelude::*;

    use super::*;

    /// Sends the parts over a real connection and returns the answer.
    fn consumed(parts: &[Vec<u8>]) -> Answer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let consumer = thread::spawn(move || attend(&listener.accept().unwrap().0).unwrap());
        let mut stream = TcpStream::connect(addr).unwrap();
        let mut echo = [0; Service::LENGTH];
        stream.write_all(&Service::Receive.encode()).unwrap();
        stream.read_exact(&mut echo).unwrap();
        assert_eq!(Service::decode(&echo), Some(Service::Receive));
        for part in parts {
            stream.write_all(part).unwrap();
        }
        stream.shutdown(Shutdown::Write).unwrap();
        let mut wire = [0; Answer::LENGTH];
        stream.read_exact(&mut wire).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0, "nothing follows the answer");
        assert_eq!(consumer.join().unwrap(), Answer::decode(&wire));
        Answer::decode(&wire)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn whatever_is_sent_is_counted_and_hashed(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..5000), 0..8)) {
            let whole = parts.concat();
            let expected = Answer { bytes: whole.len() as u64, hash: blake3::hash(&whole) };
            prop_assert_eq!(consumed(&parts), expected);
        }
    }

    #[test]
    fn a_stranger_gets_no_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let consumer = thread::spawn(move || attend(&listener.accept().unwrap().0));
        TcpStream::connect(addr).unwrap().write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let error = consumer.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    }
}
