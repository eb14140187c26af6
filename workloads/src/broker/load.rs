//! Producers and consumers to load a broker with, one thread each.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Barrier},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rand::{RngCore, SeedableRng, rngs::SmallRng};

use super::{client::Client, wire::Order};
use crate::{Error, Result, namespace};

/// The sum over all clients of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Messages of all clients.
    pub messages: u64,
    /// Bytes of these messages as they lie in the log, with their headers.
    pub bytes: u64,
    /// From the first request to the last answer.
    pub elapsed: Duration,
}

/// Has producers send `messages` messages of random content in all, each after the previous one is
/// acknowledged.
pub fn produce(
    broker: SocketAddr,
    producers: u64,
    messages: u64,
    message_bytes: usize,
) -> Result<Load> {
    let start = Arc::new(Barrier::new(producers as usize + 1));
    let threads: Vec<_> = (0..producers)
        .map(|producer| {
            let start = Arc::clone(&start);
            let share = messages / producers + u64::from(producer < messages % producers);
            thread::spawn(move || {
                let client = Client::connect(broker);
                let mut body = vec![0; message_bytes];
                SmallRng::seed_from_u64(producer).fill_bytes(&mut body);
                start.wait();
                let mut client = client?;
                let begun = Instant::now();
                (0..share).try_for_each(|_| client.produce("", &body).map(drop))?;
                Ok((begun, Instant::now()))
            })
        })
        .collect();
    start.wait();
    let spans = threads.into_iter().map(joined).collect::<Result<Vec<_>>>()?;
    let bytes = messages * (super::record::HEADER + message_bytes) as u64;
    Ok(Load { messages, bytes, elapsed: whole(spans) })
}

/// From the first beginning to the last end. Each thread takes its own times: another one may get a CPU
/// only when all is done.
fn whole(spans: impl IntoIterator<Item = (Instant, Instant)>) -> Duration {
    let whole = spans.into_iter().reduce(|all, one| (all.0.min(one.0), all.1.max(one.1)));
    whole.map_or(Duration::ZERO, |(begun, done)| done - begun)
}

/// Connected consumers that wait for the start. Each is a group of its own, and gets every message.
#[derive(Debug)]
pub struct Consumers {
    threads: Vec<JoinHandle<Result<Received>>>,
    start: Arc<Barrier>,
}

/// The messages that one consumer received.
#[derive(Debug)]
struct Received {
    messages: u64,
    bytes: u64,
    begun: Instant,
    done: Instant,
}

impl Consumers {
    /// Connects `count` consumers, from another network namespace if there is one.
    pub fn connect(broker: SocketAddr, count: usize, namespace: Option<&Path>) -> Result<Self> {
        let start = Arc::new(Barrier::new(count + 1));
        let mut consumers = Self { threads: Vec::new(), start };
        for group in 1..=count as u32 {
            let namespace = namespace.map(Path::to_owned);
            // A network namespace belongs to a thread.
            let connecting = thread::spawn(move || {
                namespace.as_deref().map_or(Ok(()), namespace::enter)?;
                Client::connect(broker)
            });
            let client = joined(connecting)?;
            let start = Arc::clone(&consumers.start);
            consumers.threads.push(thread::spawn(move || {
                start.wait();
                receive(client, group)
            }));
        }
        Ok(consumers)
    }

    /// Lets all consumers receive the whole log, and checks that each got `messages` messages.
    pub fn run(self, messages: u64) -> Result<Load> {
        self.start.wait();
        let mut load = Load { messages: 0, bytes: 0, elapsed: Duration::ZERO };
        let mut spans = Vec::new();
        for thread in self.threads {
            let received = joined(thread)?;
            if received.messages != messages {
                return Err(Error::Undelivered { messages, received: received.messages });
            }
            load.messages += received.messages;
            load.bytes += received.bytes;
            spans.push((received.begun, received.done));
        }
        Ok(Load { elapsed: whole(spans), ..load })
    }
}

/// Receives the whole log; wrong content, a repetition and a wrong order are errors.
fn receive(mut client: Client, group: u32) -> Result<Received> {
    let begun = Instant::now();
    let mut received = Received { messages: 0, bytes: 0, begun, done: begun };
    let mut last = 0;
    let mut in_order = true;
    client.fetch(&Order::all(group), |message| {
        in_order &= message.offset > last;
        last = message.offset;
        received.messages += 1;
        received.bytes += message.length() as u64;
    })?;
    received.done = Instant::now();
    if in_order { Ok(received) } else { Err(Error::OutOfOrder) }
}

/// The result of a thread.
pub(super) fn joined<T>(thread: JoinHandle<Result<T>>) -> Result<T> {
    // The panic continues here: it is a fault of the program.
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
