//! A broker's promises, tried on a real one: its features, and the messages that survive a kill. For
//! reports; the tests look closer.

use std::{collections::BTreeSet, net::SocketAddr, path::Path, thread, time::Duration};

use rand::Rng;
use tokio::{sync::mpsc, task::spawn_blocking};

use super::{
    Answer, Fate, Feature, Flavour, Redelivery, Survival, TRIES,
    client::Client,
    driver::Broker,
    load::joined,
    log::tear,
    store::COMMIT_LOG,
    wire::{Order, Source},
};
use crate::{Error, Result};

/// Asks a new broker for a feature. The group of consumers is made up.
pub fn feature(broker: SocketAddr, feature: Feature) -> Result<Answer> {
    let mut client = Client::connect(broker)?;
    let tried = match feature {
        Feature::TagFilter => tag_filter(&mut client),
        Feature::Transaction => transaction(&mut client),
        Feature::Redelivery => redelivery(&mut client),
    };
    match tried {
        Ok((came, expected)) if came == expected => Ok(Answer::Works),
        Ok((came, expected)) => Ok(Answer::Fails(format!("{came:?} came instead of {expected:?}"))),
        Err(Error::Refused(why)) => Ok(Answer::Refused(why)),
        Err(error) => Err(error),
    }
}

/// The messages that came, and those that should have come.
type Tried = Result<(Vec<String>, Vec<&'static str>)>;

fn bodies(client: &mut Client, order: &Order<'_>) -> Result<Vec<String>> {
    let mut bodies = Vec::new();
    client.fetch(order, |message| {
        bodies.push(String::from_utf8_lossy(message.body).into_owned());
    })?;
    Ok(bodies)
}

fn tag_filter(client: &mut Client) -> Tried {
    for (tag, body) in [("wanted", "1"), ("other", "2"), ("wanted", "3")] {
        client.produce(tag, body.as_bytes())?;
    }
    let order = Order { tag: b"wanted", ..Order::all(1) };
    Ok((bodies(client, &order)?, vec!["1", "3"]))
}

fn transaction(client: &mut Client) -> Tried {
    let tagged = Order { tag: b"transaction", ..Order::all(2) };
    let committed = client.begin("transaction", b"committed")?;
    let rolled_back = client.begin("transaction", b"rolled back")?;
    let mut came = bodies(client, &tagged)?;
    client.end(committed, Fate::Committed)?;
    client.end(rolled_back, Fate::RolledBack)?;
    came.extend(bodies(client, &tagged)?);
    Ok((came, vec!["committed"]))
}

fn redelivery(client: &mut Client) -> Tried {
    let mut offset = client.produce("failing", b"failed")?;
    for _ in 1..TRIES {
        let Redelivery::Again(again) = client.failed(3, offset)? else { break };
        offset = again;
    }
    let tagged = Order { tag: b"failing", ..Order::all(3) };
    let mut came = bodies(client, &tagged)?;
    client.failed(3, offset)?;
    came.extend(bodies(client, &Order { source: Source::DeadLetters, ..tagged })?);
    Ok((came, vec!["failed"; usize::from(TRIES) + 1]))
}

/// Offsets that producers were given.
#[derive(Debug, Default)]
struct Told {
    acknowledged: Vec<u64>,
    uncommitted: Vec<u64>,
}

/// Kills a broker in the middle of its work, at `kills` random moments, and checks each time the messages
/// that a consumer gets from the next one on the same logs. Half a record is appended to them each time.
pub async fn survival(exe: &Path, flavour: Flavour, dir: &Path, kills: u64) -> Result<Survival> {
    const PRODUCERS: usize = 4;
    let mut survival = Survival { kills, ..Survival::default() };
    let (mut acknowledged, mut uncommitted) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..kills {
        let broker = Broker::start(exe, flavour, dir, None).await?;
        let addr = broker.addr();
        let (begun, mut has_begun) = mpsc::unbounded_channel();
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|_| {
                let begun = begun.clone();
                thread::spawn(move || Ok(produce_until_killed(addr, flavour, &begun)))
            })
            .collect();
        drop(begun);
        // On a busy machine that may take a while; if no producer gets that far, nothing is acknowledged,
        // and the claim is not tested.
        has_begun.recv().await;
        let moment = Duration::from_micros(rand::rng().random_range(10_000..100_000));
        tokio::time::sleep(moment).await;
        broker.kill().await?;
        for producer in producers {
            let told = joined(producer)?;
            acknowledged.extend(told.acknowledged);
            uncommitted.extend(told.uncommitted);
        }
        tear(&dir.join(COMMIT_LOG))?;

        let next = Broker::start(exe, flavour, dir, None).await?;
        survival.torn += next.torn().len() as u64;
        let addr = next.addr();
        let delivered = spawn_blocking(move || delivered(addr));
        let (offsets, origins) = delivered.await.unwrap_or_else(|error| {
            // The panic continues here: it is a fault of the program.
            std::panic::resume_unwind(error.into_panic())
        })?;
        survival.lost = acknowledged.difference(&offsets).count() as u64;
        survival.leaked = uncommitted.iter().filter(|half| origins.contains(half)).count() as u64;
        next.kill().await?;
    }
    survival.acknowledged = acknowledged.len() as u64;
    survival.uncommitted = uncommitted.len() as u64;
    Ok(survival)
}

/// Produces until the broker is gone: messages, and where possible also transactions that are never
/// committed. Sends on `begun` when it has begun.
fn produce_until_killed(
    broker: SocketAddr,
    flavour: Flavour,
    begun: &mpsc::UnboundedSender<()>,
) -> Told {
    let mut told = Told::default();
    let mut one_more = |client: &mut Client, number: usize| -> Result<()> {
        told.acknowledged.push(client.produce("", &vec![b'm'; number * 37 % 3000])?);
        if flavour.sees_content() {
            told.uncommitted.push(client.begin("", b"half")?);
        }
        if number == 0 {
            // Nobody waits for later ones.
            let _ = begun.send(());
        }
        Ok(())
    };
    // The test waits for the end of the broker.
    let _ = Client::connect(broker)
        .and_then(|mut client| (0..).try_for_each(|number| one_more(&mut client, number)));
    told
}

/// The offsets of all messages a consumer gets, and of their half messages.
fn delivered(broker: SocketAddr) -> Result<(BTreeSet<u64>, BTreeSet<u64>)> {
    let (mut offsets, mut origins) = (BTreeSet::new(), BTreeSet::new());
    Client::connect(broker)?.fetch(&Order::all(1), |message| {
        offsets.insert(message.offset);
        origins.extend([message.offset, message.origin]);
    })?;
    Ok((offsets, origins))
}
