//! The broker as a process: takes connections, and serves each in a thread of its own.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::PathBuf,
    sync::Arc,
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    Flavour, Redelivery, TRIES,
    record::{Record, RecordKind},
    serve::{self, Deliver, Stopped},
    span::Span,
    store::Store,
    transaction::Fate,
    wire::{self, Order},
};
use crate::{Error, Result, pinned, process};

pub use super::span::Spent;

/// How long a consumer may read nothing before the broker drops it.
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes read at a time from a connection.
const BUFFER: usize = 64 << 10;
/// A connection's thread does little: its memory is locked when it is measured.
const STACK: usize = 256 << 10;

/// The driver's question on standard input.
pub(crate) const STATE: &str = "state";

/// The verb of the broker.
pub(crate) const VERB: &str = "run-broker";

/// Arguments of the broker as a child of [`super::driver::Broker`].
#[derive(Clone, Debug, clap::Args)]
pub struct BrokerArgs {
    /// How messages are handed out
    #[arg(long, value_enum)]
    pub(crate) flavour: Flavour,
    /// Directory of the logs
    #[arg(long)]
    pub(crate) dir: PathBuf,
    /// Consumers whose first orders are measured together; without it, none are
    #[arg(long)]
    pub(crate) measure: Option<usize>,
    /// Process id of the driver
    #[arg(long)]
    pub(crate) parent: u32,
}

/// The events of a broker on its standard output, one JSON object a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum BrokerEvent {
    /// It accepts connections.
    Listening {
        /// The port, at every address.
        port: u16,
        /// Its process id.
        pid: u32,
        /// The torn ends of its logs that it cut off at start-up, in words.
        torn: Vec<String>,
    },
    /// All measured consumers are connected, and may send their orders.
    Connected,
    /// All their orders were carried out.
    Delivered(Spent),
    /// The answer to the question for its state.
    State {
        /// The number of flushes of messages to disk until now.
        syncs: u64,
    },
    /// It ends with an error.
    Error {
        /// The reason, in one line.
        what: String,
    },
}

/// Runs as a child: prints its address, and serves until the driver ends it.
pub fn run(args: &BrokerArgs) -> Result<()> {
    process::ignore_signals();
    process::die_with_parent(args.parent)?;
    let (store, torn) = Store::open(&args.dir, args.flavour)?;
    let torn: Vec<_> = torn.iter().map(ToString::to_string).collect();
    for line in &torn {
        note(line);
    }
    let store = Arc::new(store);
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0));
    let listener = listener.map_err(Error::os("listen on a free port"))?;
    let port = listener.local_addr().map_err(Error::os("ask for the broker's port"))?.port();
    let span = args.measure.map(|consumers| Arc::new(Span::new(consumers)));
    process::emit(&BrokerEvent::Listening { port, pid: std::process::id(), torn })?;
    let served = Arc::clone(&store);
    thread::spawn(move || accept(&listener, &served, span.as_ref()));
    answer_driver(&store)
}

fn answer_driver(store: &Store) -> Result<()> {
    for line in io::stdin().lock().lines() {
        let line = line.map_err(Error::os("hear the driver"))?;
        if line == STATE {
            process::emit(&BrokerEvent::State { syncs: store.syncs() })?;
        }
    }
    Ok(())
}

/// Writes a line to standard error, in one piece. If that fails, there is no other place to report it.
fn note(line: &str) {
    let _ = io::stderr().write_all(format!("broker: {line}\n").as_bytes());
}

fn accept(listener: &TcpListener, store: &Arc<Store>, span: Option<&Arc<Span>>) {
    let mut connected = 0;
    loop {
        let started =
            listener.accept().map_err(Error::os("accept a connection")).and_then(|(socket, _)| {
                Connection::new(socket, Arc::clone(store), span.cloned())?.start()
            });
        if let Err(error) = started {
            note(&error.to_string());
            // Out of descriptors or memory, as a rule: some will be free soon.
            thread::sleep(Duration::from_millis(100));
            continue;
        }
        connected += 1;
        if span.is_some_and(|span| span.consumers() == connected) {
            let told = pinned::pin().and_then(|()| process::emit(&BrokerEvent::Connected));
            if let Err(error) = told {
                note(&error.to_string());
            }
        }
    }
}

/// One producer's or consumer's connection.
struct Connection {
    store: Arc<Store>,
    span: Option<Arc<Span>>,
    input: BufReader<TcpStream>,
    request: Vec<u8>,
    answer: Vec<u8>,
    way: Box<dyn Deliver>,
}

/// Reasons for a connection to end before the other side ends it.
enum End {
    Connection(io::Error),
    Child(Error),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self::Connection(error)
    }
}

impl Connection {
    fn new(socket: TcpStream, store: Arc<Store>, span: Option<Arc<Span>>) -> Result<Self> {
        socket
            .set_nodelay(true)
            .and_then(|()| socket.set_write_timeout(Some(STALL_TIMEOUT)))
            .map_err(Error::os("set a connection's options"))?;
        let way = serve::way(&store);
        let input = BufReader::with_capacity(BUFFER, socket);
        Ok(Self { store, span, input, request: Vec::new(), answer: Vec::with_capacity(256), way })
    }

    fn start(mut self) -> Result<()> {
        let thread = thread::Builder::new().stack_size(STACK);
        let started = thread.spawn(move || match self.serve() {
            Ok(()) => {}
            Err(End::Connection(error)) => note(&format!("a connection broke: {error}")),
            Err(End::Child(error)) => note(&error.to_string()),
        });
        started.map(drop).map_err(Error::os("start a thread for a connection"))
    }

    /// Answers requests one after the other until the other side sends no more.
    fn serve(&mut self) -> Result<(), End> {
        loop {
            let Some(request) = wire::read(&mut self.input, &mut self.request)? else {
                return Ok(());
            };
            let spent = match Order::decode(&request).filter(|_| request.kind == RecordKind::Fetch)
            {
                Some(order) => {
                    let socket = self.input.get_ref();
                    if let Some(span) = &self.span {
                        span.begin(socket);
                    }
                    let way = self.way.as_mut();
                    deliver(&self.store, way, &order, socket, &mut self.answer)?;
                    self.span.as_ref().and_then(|span| span.end())
                }
                None => {
                    let mut socket = self.input.get_ref();
                    let result = answer(&self.store, &request);
                    send(&mut socket, &mut self.answer, &result)?;
                    None
                }
            };
            if let Some(spent) = spent {
                process::emit(&BrokerEvent::Delivered(spent)).map_err(End::Child)?;
            }
        }
    }
}

/// Carries an order out, and sends the offset to resume from.
fn deliver(
    store: &Store,
    way: &mut dyn Deliver,
    order: &Order<'_>,
    mut socket: &TcpStream,
    buffer: &mut Vec<u8>,
) -> io::Result<()> {
    let delivered = store.check(order).map_err(Stopped::Broker).and_then(|()| {
        if !order.wait.is_zero() {
            store.log(order.source).wait_beyond(store.first_from(order), order.wait);
        }
        way.deliver(store, order, socket)
    });
    let end = match delivered {
        Ok(next) => Ok(Record::mark(RecordKind::End, order.group, next)),
        Err(Stopped::Broker(error)) => Err(error),
        Err(Stopped::Consumer(error)) => return Err(error),
    };
    send(&mut socket, buffer, &end)
}

/// Carries out a request, and returns the record that answers it.
fn answer(store: &Store, request: &Record<'_>) -> Result<Record<'static>> {
    let done = |origin| Record::mark(RecordKind::Done, request.group, origin);
    match request.kind {
        RecordKind::Message | RecordKind::Half => store.produce(request).map(done),
        RecordKind::Commit => store.end(request.origin, Fate::Committed).map(done),
        RecordKind::Rollback => store.end(request.origin, Fate::RolledBack).map(done),
        RecordKind::Failed => {
            store.failed(request.group, request.origin).map(|redelivery| match redelivery {
                Redelivery::Again(offset) => done(offset),
                Redelivery::Dead(offset) => Record { tries: TRIES, ..done(offset) },
            })
        }
        RecordKind::Progress => store.advance(request.group, request.origin).map(|()| done(0)),
        kind => Err(Error::Refused(format!("{kind:?} is no request of this version"))),
    }
}

/// Sends an answer: in one call, and usually without an allocation.
fn send(
    socket: &mut impl Write,
    buffer: &mut Vec<u8>,
    result: &Result<Record<'_>>,
) -> io::Result<()> {
    buffer.clear();
    match result {
        Ok(record) => record.encode(buffer),
        Err(error) => {
            let text = error.to_string();
            let refused = Record::mark(RecordKind::Refused, 0, 0);
            Record { body: text.as_bytes(), ..refused }.encode(buffer);
        }
    }
    socket.write_all(buffer)
}
