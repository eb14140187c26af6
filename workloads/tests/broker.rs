//! The broker as a real process: its promises, also when it is killed during its work.
#![allow(clippy::unwrap_used, reason = "a test may end in a panic, also in its helpers")]

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::Path,
    thread,
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::SmallRng};
use workloads::{
    Cache, Result,
    broker::{
        Answer, Fate, Feature, Flavour, Redelivery, TRIES, check,
        client::Client,
        driver::Broker,
        load::{self, Consumers},
        log, store,
        wire::{Order, Source},
    },
    cache,
};

const KILLS: u64 = 20;
const PRODUCERS: u64 = 4;

fn exe() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_workloads"))
}

/// Beside the program, which is more likely to be on a disk than /tmp.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(exe().parent().unwrap()).unwrap()
}

async fn broker(flavour: Flavour, dir: &Path) -> Broker {
    Broker::start(exe(), flavour, dir, None).await.unwrap()
}

fn client(broker: &Broker) -> Client {
    Client::connect(broker.addr()).unwrap()
}

/// Offset, tag and body of every message of an order.
fn fetched(client: &mut Client, order: &Order<'_>) -> Vec<(u64, String, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut messages = Vec::new();
    client
        .fetch(order, |message| {
            messages.push((message.offset, text(message.tag), text(message.body)));
        })
        .unwrap();
    messages
}

fn bodies(client: &mut Client, order: &Order<'_>) -> Vec<String> {
    fetched(client, order).into_iter().map(|(.., body)| body).collect()
}

fn dead_letters() -> Order<'static> {
    Order { source: Source::DeadLetters, ..Order::all(0) }
}

/// The answers that a producer received, until its broker was killed.
#[derive(Default)]
struct Told {
    /// Messages that were acknowledged, or transactions whose commit was.
    acknowledged: Vec<String>,
    /// Messages of transactions that were not committed, and those that were rolled back.
    uncommitted: Vec<String>,
}

/// Produces messages of different bodies until the broker is gone. With transactions, every second
/// message is one of them: some are committed, some are rolled back, some are left open.
fn produce_until_killed(broker: SocketAddr, name: String, transactions: bool) -> Told {
    let mut told = Told::default();
    let mut one_more = |client: &mut Client, number: u32| -> Result<()> {
        let body = format!("{name} {number} {}", "x".repeat(number as usize * 37 % 3000));
        if !transactions || number.is_multiple_of(2) {
            client.produce("plain", body.as_bytes())?;
            told.acknowledged.push(body);
            return Ok(());
        }
        let begun = client.begin("transaction", body.as_bytes())?;
        match number / 2 % 3 {
            // From here on it may be visible, even without the answer.
            0 => client.end(begun, Fate::Committed).map(|_| told.acknowledged.push(body)),
            1 => {
                told.uncommitted.push(body);
                client.end(begun, Fate::RolledBack).map(drop)
            }
            _ => {
                told.uncommitted.push(body);
                Ok(())
            }
        }
    };
    if let Ok(mut client) = Client::connect(broker) {
        let _ = (0..).try_for_each(|number| one_more(&mut client, number));
    }
    told
}

async fn survives_being_killed(flavour: Flavour, seed: u64) {
    let dir = folder();
    let mut random = SmallRng::seed_from_u64(seed);
    let (mut acknowledged, mut uncommitted) = (BTreeSet::new(), BTreeSet::new());
    for kill in 0..KILLS {
        let running = broker(flavour, dir.path()).await;
        let addr = running.addr();
        let producers: Vec<_> = (0..PRODUCERS)
            .map(|producer| {
                let name = format!("{kill}.{producer}");
                thread::spawn(move || produce_until_killed(addr, name, flavour.sees_content()))
            })
            .collect();
        tokio::time::sleep(Duration::from_micros(random.random_range(1_000..120_000))).await;
        running.kill().await.unwrap();
        for producer in producers {
            let told = producer.join().unwrap();
            acknowledged.extend(told.acknowledged);
            uncommitted.extend(told.uncommitted);
        }

        let again = broker(flavour, dir.path()).await;
        let delivered = bodies(&mut client(&again), &Order::all(1));
        let mut counts: BTreeMap<&String, u32> = BTreeMap::new();
        for body in &delivered {
            *counts.entry(body).or_default() += 1;
        }
        assert!(counts.values().all(|count| *count == 1), "a message comes twice");
        for body in &acknowledged {
            assert!(counts.contains_key(body), "kill {kill}: lost {body:.40}");
        }
        for body in &uncommitted {
            assert!(!counts.contains_key(body), "kill {kill}: delivered {body:.40}");
        }
        again.kill().await.unwrap();
    }
    // Otherwise nothing was tested.
    assert!(acknowledged.len() as u64 > KILLS, "{} acknowledged", acknowledged.len());
    assert_eq!(uncommitted.is_empty(), !flavour.sees_content());
}

#[tokio::test]
async fn kafka_loses_nothing_when_killed_at_twenty_random_moments() {
    survives_being_killed(Flavour::Kafka, 1).await;
}

#[tokio::test]
async fn rocketmq_loses_nothing_when_killed_at_twenty_random_moments() {
    survives_being_killed(Flavour::Rocketmq, 2).await;
}

#[tokio::test]
async fn rocketmq_heap_loses_nothing_when_killed_at_twenty_random_moments() {
    survives_being_killed(Flavour::RocketmqHeap, 3).await;
}

#[tokio::test]
async fn a_torn_record_is_cut_off_with_a_message() {
    for flavour in Flavour::ALL {
        let dir = folder();
        let first = broker(flavour, dir.path()).await;
        assert!(first.torn().is_empty());
        client(&first).produce("", b"whole").unwrap();
        first.kill().await.unwrap();
        log::tear(&dir.path().join(store::COMMIT_LOG)).unwrap();

        let second = broker(flavour, dir.path()).await;
        let said = second.torn().join("\n");
        assert!(said.contains("cut off") && said.contains("torn"), "{said}");
        let mut client = client(&second);
        assert_eq!(bodies(&mut client, &Order::all(1)), ["whole"]);
        client.produce("", b"next").unwrap();
        assert_eq!(bodies(&mut client, &Order::all(1)), ["whole", "next"]);
    }
}

#[tokio::test]
async fn what_is_sent_arrives_by_every_way() {
    for flavour in Flavour::ALL {
        let dir = folder();
        let broker = broker(flavour, dir.path()).await;
        let mut client = client(&broker);
        for size in [0, 1, 4063, 4064, 4065, 100_000, 3_000_000] {
            client.produce("tag", &vec![b'a' + (size % 26) as u8; size]).unwrap();
        }
        let messages = fetched(&mut client, &Order::all(1));
        let sizes: Vec<_> = messages.iter().map(|(.., body)| body.len()).collect();
        assert_eq!(sizes, [0, 1, 4063, 4064, 4065, 100_000, 3_000_000], "{}", flavour.name());
        let third = Order { from: messages[2].0, most: 2, ..Order::all(1) };
        assert_eq!(fetched(&mut client, &third), messages[2..4]);
    }
}

#[tokio::test]
async fn a_group_goes_on_where_it_was_also_after_a_crash() {
    for flavour in Flavour::ALL {
        let dir = folder();
        let first = broker(flavour, dir.path()).await;
        let mut producer = client(&first);
        for body in ["one", "two", "three"] {
            producer.produce("", body.as_bytes()).unwrap();
        }
        let two = Order { most: 2, ..Order::all(7) };
        let next = producer.fetch(&two, |_| ()).unwrap();
        producer.advance(7, next).unwrap();
        first.kill().await.unwrap();

        let second = broker(flavour, dir.path()).await;
        let mut consumer = client(&second);
        assert_eq!(bodies(&mut consumer, &Order::all(7)), ["three"]);
        assert_eq!(bodies(&mut consumer, &Order::all(8)), ["one", "two", "three"]);
    }
}

#[tokio::test]
async fn a_consumer_may_wait_for_a_message() {
    let dir = folder();
    let broker = broker(Flavour::Kafka, dir.path()).await;
    let addr = broker.addr();
    let consumer = thread::spawn(move || {
        let order = Order { wait: Duration::from_secs(20), ..Order::all(1) };
        bodies(&mut Client::connect(addr).unwrap(), &order)
    });
    thread::sleep(Duration::from_millis(50));
    client(&broker).produce("", b"late").unwrap();
    assert_eq!(consumer.join().unwrap(), ["late"]);
}

#[tokio::test]
async fn a_tag_chooses_what_a_consumer_gets() {
    for flavour in [Flavour::Rocketmq, Flavour::RocketmqHeap] {
        let dir = folder();
        let broker = broker(flavour, dir.path()).await;
        let mut client = client(&broker);
        for (tag, body) in [("red", "1"), ("blue", "2"), ("", "3"), ("red", "4"), ("reddish", "5")]
        {
            client.produce(tag, body.as_bytes()).unwrap();
        }
        assert_eq!(bodies(&mut client, &Order { tag: b"red", ..Order::all(1) }), ["1", "4"]);
        assert_eq!(bodies(&mut client, &Order { tag: b"green", ..Order::all(1) }), [""; 0]);
        assert_eq!(bodies(&mut client, &Order::all(1)).len(), 5);
    }
}

#[tokio::test]
async fn a_message_is_dead_after_three_tries_of_one_group() {
    for flavour in [Flavour::Rocketmq, Flavour::RocketmqHeap] {
        let dir = folder();
        let first = broker(flavour, dir.path()).await;
        let mut consumer = client(&first);
        consumer.produce("t", b"bad").unwrap();
        let good = consumer.produce("t", b"good").unwrap();
        let mut offset = log::FIRST;
        for failure in 1..=TRIES {
            let Redelivery::Again(again) = consumer.failed(1, offset).unwrap() else {
                assert_eq!(failure, TRIES);
                break;
            };
            // A repeated report changes nothing.
            assert_eq!(consumer.failed(1, offset).unwrap(), Redelivery::Again(again));
            let came = fetched(&mut consumer, &Order { from: good, ..Order::all(1) });
            assert_eq!(came.len(), 1 + usize::from(failure));
            assert_eq!(came.last(), Some(&(again, "t".to_owned(), "bad".to_owned())));
            offset = again;
        }
        let letters = ["bad"];
        assert_eq!(bodies(&mut consumer, &dead_letters()), letters);
        assert!(matches!(consumer.failed(1, offset).unwrap(), Redelivery::Dead(_)));
        // Another group never sees the retries.
        assert_eq!(bodies(&mut consumer, &Order::all(2)), ["bad", "good"]);
        first.kill().await.unwrap();

        let second = broker(flavour, dir.path()).await;
        let mut consumer = client(&second);
        assert_eq!(bodies(&mut consumer, &dead_letters()), letters);
        assert!(matches!(consumer.failed(1, offset).unwrap(), Redelivery::Dead(_)));
        assert_eq!(bodies(&mut consumer, &dead_letters()), letters, "it is dead once");
        let nothing = consumer.failed(1, 3).unwrap_err().to_string();
        assert!(nothing.contains("sent no message from offset 3"), "{nothing}");
    }
}

#[tokio::test]
async fn a_try_counts_also_when_the_broker_is_killed_in_between() {
    let dir = folder();
    let mut offset = {
        let broker = broker(Flavour::Rocketmq, dir.path()).await;
        let offset = client(&broker).produce("", b"bad").unwrap();
        broker.kill().await.unwrap();
        offset
    };
    for failure in 1..=TRIES {
        let broker = broker(Flavour::Rocketmq, dir.path()).await;
        match client(&broker).failed(4, offset).unwrap() {
            Redelivery::Again(again) => offset = again,
            Redelivery::Dead(_) => assert_eq!(failure, TRIES),
        }
        broker.kill().await.unwrap();
    }
    let broker = broker(Flavour::Rocketmq, dir.path()).await;
    assert_eq!(bodies(&mut client(&broker), &dead_letters()), ["bad"]);
}

#[tokio::test]
async fn a_transaction_is_visible_on_commit_and_vanishes_on_rollback() {
    for flavour in [Flavour::Rocketmq, Flavour::RocketmqHeap] {
        let dir = folder();
        let first = broker(flavour, dir.path()).await;
        let mut producer = client(&first);
        let [committed, rolled_back, later] = ["committed", "rolled back", "later"]
            .map(|body| producer.begin("t", body.as_bytes()).unwrap());
        assert_eq!(bodies(&mut producer, &Order::all(1)), [""; 0]);
        let offset = producer.end(committed, Fate::Committed).unwrap();
        producer.end(rolled_back, Fate::RolledBack).unwrap();
        assert_eq!(producer.end(committed, Fate::Committed).unwrap(), offset);
        let other = producer.end(committed, Fate::RolledBack).unwrap_err().to_string();
        assert!(other.contains("was committed before"), "{other}");
        assert_eq!(bodies(&mut producer, &Order::all(1)), ["committed"]);
        first.kill().await.unwrap();

        let second = broker(flavour, dir.path()).await;
        let mut producer = client(&second);
        assert_eq!(bodies(&mut producer, &Order::all(1)), ["committed"]);
        let other = producer.end(rolled_back, Fate::Committed).unwrap_err().to_string();
        assert!(other.contains("was rolled back before"), "{other}");
        assert_eq!(producer.end(committed, Fate::Committed).unwrap(), offset);
        producer.end(later, Fate::Committed).unwrap();
        assert_eq!(bodies(&mut producer, &Order::all(1)), ["committed", "later"]);
        let nothing = producer.end(offset, Fate::Committed).unwrap_err().to_string();
        assert!(nothing.contains("no transaction began"), "{nothing}");
    }
}

#[tokio::test]
async fn kafka_says_why_it_cannot() {
    let dir = folder();
    let broker = broker(Flavour::Kafka, dir.path()).await;
    let mut client = client(&broker);
    let offset = client.produce("red", b"1").unwrap();
    let refusals = [
        (
            Feature::TagFilter,
            client.fetch(&Order { tag: b"red", ..Order::all(1) }, |_| ()).map(drop),
        ),
        (Feature::Transaction, client.begin("t", b"2").map(drop)),
        (Feature::Transaction, client.end(offset, Fate::Committed).map(drop)),
        (Feature::Redelivery, client.failed(1, offset).map(drop)),
        (Feature::Redelivery, client.fetch(&dead_letters(), |_| ()).map(drop)),
    ];
    for (feature, refusal) in refusals {
        let said = refusal.unwrap_err().to_string();
        for part in [feature.what(), "sendfile()", "never sees", "rocketmq"] {
            assert!(said.contains(part), "{said}");
        }
    }
    assert_eq!(bodies(&mut client, &Order::all(1)), ["1"], "it goes on");
}

#[tokio::test]
async fn kafka_does_not_take_over_a_log_it_would_have_to_look_into() {
    let dir = folder();
    let rocketmq = broker(Flavour::Rocketmq, dir.path()).await;
    client(&rocketmq).begin("", b"half").unwrap();
    rocketmq.kill().await.unwrap();
    let refused = Broker::start(exe(), Flavour::Kafka, dir.path(), None).await.unwrap_err();
    assert!(refused.to_string().contains("never sees"), "{refused}");
}

#[tokio::test]
async fn two_brokers_do_not_share_a_directory() {
    let dir = folder();
    let _first = broker(Flavour::Kafka, dir.path()).await;
    let second = Broker::start(exe(), Flavour::Kafka, dir.path(), None).await.unwrap_err();
    assert!(second.to_string().contains("another broker"), "{second}");
}

#[tokio::test]
async fn a_delivery_is_measured_from_the_first_order_to_the_last() {
    const MESSAGES: u64 = 60;
    const CONSUMERS: usize = 3;
    let dir = folder();
    let mut first = broker(Flavour::Kafka, dir.path()).await;
    let addr = first.addr();
    let produced = tokio::task::spawn_blocking(move || load::produce(addr, 5, MESSAGES, 10_000));
    assert_eq!(produced.await.unwrap().unwrap().messages, MESSAGES);
    assert!((1..=MESSAGES).contains(&first.syncs().await.unwrap()));
    first.kill().await.unwrap();

    let log = dir.path().join(store::COMMIT_LOG);
    let bytes = std::fs::metadata(&log).unwrap().len();
    for flavour in Flavour::ALL {
        for cache in [Cache::Cold, Cache::Warm] {
            let mut broker =
                Broker::start(exe(), flavour, dir.path(), Some(CONSUMERS)).await.unwrap();
            cache::establish(std::fs::File::open(&log).unwrap(), bytes, cache).unwrap();
            let consumers = Consumers::connect(broker.addr(), CONSUMERS, None).unwrap();
            broker.connected().await.unwrap();
            let load = tokio::task::spawn_blocking(move || consumers.run(MESSAGES));
            let load = load.await.unwrap().unwrap();
            assert_eq!(load.messages, MESSAGES * CONSUMERS as u64);
            assert_eq!(load.bytes, (bytes - log::FIRST) * CONSUMERS as u64);
            let spent = broker.delivered().await.unwrap();
            let elapsed = load.elapsed;
            assert!(spent.cpu_ns > 0, "{flavour:?}, {cache:?}: {spent:?} in {elapsed:?}");
            assert!(elapsed > Duration::ZERO);
            broker.kill().await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_a_report_says_of_a_broker_is_tried() {
    for flavour in Flavour::ALL {
        let dir = folder();
        let broker = broker(flavour, dir.path()).await;
        for feature in Feature::ALL {
            let answer = check::feature(broker.addr(), feature).unwrap();
            match flavour.sees_content() {
                true => assert_eq!(answer, Answer::Works, "{feature:?}"),
                false => assert!(matches!(answer, Answer::Refused(_)), "{answer:?}"),
            }
        }
        let dir = folder();
        let survival = check::survival(exe(), flavour, dir.path(), 2).await.unwrap();
        assert_eq!((survival.kills, survival.lost, survival.leaked), (2, 0, 0));
        assert_eq!(survival.torn, 2);
        assert!(survival.acknowledged > 0);
        assert_eq!(survival.uncommitted > 0, flavour.sees_content());
    }
}
