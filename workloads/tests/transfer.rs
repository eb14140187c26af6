//! Driver, sender and consumer together, as real processes, over loopback.
#![allow(clippy::unwrap_used, reason = "a test may end in a panic, also in its helpers")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use workloads::{
    Cache, CheckedBy, Error, Outcome, PayloadFile, Receiver, Result, Route, STRATEGIES, Shape,
    Strategy,
    driver::{Consumer, Network, Sender, SenderSpec},
    protocol::{Answer, ConsumerEvent, Mailbox, Service},
    tls,
};

const MESSAGES: u64 = 40;
const MESSAGE_BYTES: u64 = 64 << 10;

fn exe() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_workloads"))
}

fn payload_of(messages: u64, message_bytes: u64) -> PayloadFile {
    let shape = Shape::new(messages, message_bytes).unwrap();
    // Beside the program, which is more likely to be on a disk than /tmp.
    PayloadFile::create(exe().parent().unwrap(), shape, 7).unwrap()
}

fn payload() -> PayloadFile {
    payload_of(MESSAGES, MESSAGE_BYTES)
}

async fn sender(
    strategy: &str,
    payload: &PayloadFile,
    to: impl Into<Receiver>,
    cache: Cache,
) -> Result<Sender> {
    let to = to.into();
    Sender::prepare(exe(), &SenderSpec { strategy, payload, to, cache }).await
}

/// As [`sender`]; none, with a note, where the strategy cannot run here.
async fn possible(
    strategy: &str,
    payload: &PayloadFile,
    to: impl Into<Receiver>,
    cache: Cache,
) -> Option<Sender> {
    match sender(strategy, payload, to, cache).await {
        Err(Error::Unsupported { reason }) => {
            eprintln!("skipped: {strategy} with {:?}: {reason}", payload.shape());
            None
        }
        sender => Some(sender.unwrap()),
    }
}

async fn loopback() -> Consumer {
    Consumer::start(exe(), &Network::Loopback).await.unwrap()
}

/// A fake consumer, given by its handling of its one connection.
fn fake_consumer(serve: impl FnOnce(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        let mut request = [0; Service::LENGTH];
        stream.read_exact(&mut request).unwrap();
        stream.write_all(&request).unwrap();
        if Service::decode(&request) == Some(Service::ReceiveTls) {
            tls::accept(&stream).map(drop).unwrap();
        }
        serve(stream);
    });
    addr
}

/// A consumer that answers for other bytes than it received.
fn lying_consumer(change: fn(&mut Vec<u8>)) -> SocketAddr {
    fake_consumer(move |mut stream| {
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        change(&mut received);
        let answer = Answer { bytes: received.len() as u64, hash: blake3::hash(&received) };
        stream.write_all(&answer.encode()).unwrap();
    })
}

async fn fails_with(to: SocketAddr) -> String {
    let payload = payload();
    let sender = sender("sendfile", &payload, to, Cache::Warm).await.unwrap();
    sender.go().await.unwrap_err().to_string()
}

fn is_running(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    !(state.is_empty() || state.starts_with('Z'))
}

fn wait_for_end(pid: u32) {
    let limit = Instant::now() + Duration::from_secs(10);
    while is_running(pid) {
        assert!(Instant::now() < limit, "process {pid} still runs");
        thread::sleep(Duration::from_millis(10));
    }
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid as i32).unwrap(), signal).unwrap();
}

fn calls(outcome: &Outcome) -> Vec<(&str, u64)> {
    outcome.calls.iter().map(|(name, count)| (name.as_str(), *count)).collect()
}

#[tokio::test]
async fn every_strategy_delivers_every_byte() {
    let (consumer, payload) = (loopback().await, payload());
    for strategy in STRATEGIES.iter() {
        for cache in [Cache::Cold, Cache::Warm] {
            let to = consumer.addr();
            let Some(sender) = possible(strategy.name, &payload, to, cache).await else {
                continue;
            };
            let connected = strategy.route.has_consumer().then(|| consumer.addr().ip());
            assert_eq!(sender.peer_addr().map(|addr| addr.ip()), connected);
            let outcome = sender.go().await.unwrap();
            assert_eq!(outcome.strategy, strategy.name);
            assert_eq!(outcome.bytes, MESSAGES * MESSAGE_BYTES);
            assert_eq!(outcome.hash, payload.hash().to_string());
            assert_eq!(outcome.checked_by, CheckedBy::Hash);
            assert!(outcome.elapsed_ns > 0 && outcome.arrived_ns >= outcome.elapsed_ns);
            assert!(outcome.cpu_ns > 0);
        }
    }
}

#[tokio::test]
async fn a_message_costs_the_calls_it_should_and_no_fault_of_the_programs_own() {
    let (consumer, payload) = (loopback().await, payload());
    let pair = |first, second| vec![(first, MESSAGES), (second, MESSAGES)];
    let mapped = || vec![("mmap", 1), ("write", MESSAGES)];
    let expected = [
        ("read-write", pair("read", "write"), false),
        ("mmap-write", mapped(), true),
        ("sendfile", vec![("sendfile", MESSAGES)], false),
        ("pread-writev", pair("pread64", "writev"), false),
        ("splice", vec![("splice", 2 * MESSAGES)], false),
        ("odirect-write", pair("read", "write"), false),
        ("mmap-touch-write", mapped(), true),
        // No exception is taken, but the kernel counts pages that it maps ahead as minor faults.
        ("mmap-populate-write", mapped(), true),
        ("mmap-heap-write", mapped(), true),
        ("io-uring-send", vec![("io_uring_enter", MESSAGES)], false),
        ("io-uring-splice", vec![("io_uring_enter", MESSAGES)], false),
        ("sendfile-ktls", vec![("sendfile", MESSAGES)], false),
        ("write-ktls", pair("read", "write"), false),
        ("write", vec![("write", MESSAGES)], false),
        ("vmsplice", pair("splice", "vmsplice"), false),
        ("read-write-file", pair("read", "write"), false),
        ("copy-file-range", vec![("copy_file_range", MESSAGES)], false),
        ("sendfile-file", vec![("sendfile", MESSAGES)], false),
        ("mmap-memcpy-file", vec![("mmap", 2)], true),
        ("pipe", vec![("write", MESSAGES)], false),
        ("unix-stream", vec![("sendto", MESSAGES)], false),
        ("process-vm-readv", vec![("process_vm_readv", MESSAGES)], false),
        ("shared-memory", vec![], false),
        ("recv", vec![("recvfrom", MESSAGES)], false),
        // A packet over loopback has at most 64 KiB with its headers: a message takes two.
        ("udp-send", vec![("sendto", 2 * MESSAGES)], false),
    ];
    for (strategy, expected_calls, maps) in expected {
        let Some(sender) = possible(strategy, &payload, consumer.addr(), Cache::Warm).await else {
            continue;
        };
        let outcome = sender.go().await.unwrap();
        assert_eq!(calls(&outcome), expected_calls, "{strategy}");
        assert_eq!(outcome.minor_faults + outcome.major_faults > 0, maps, "{outcome:?}");
    }
}

#[tokio::test]
async fn zero_copy_sends_are_waited_for_and_reported() {
    let (consumer, payload) = (loopback().await, payload());
    for strategy in ["msg-zerocopy", "io-uring-send-zc", "udp-msg-zerocopy"] {
        let to = consumer.addr();
        let Some(sender) = possible(strategy, &payload, to, Cache::Warm).await else { continue };
        let outcome = sender.go().await.unwrap();
        let made = |name| outcome.calls.get(name).copied().unwrap_or_default();
        let sends = if strategy == "udp-msg-zerocopy" { 2 * MESSAGES } else { MESSAGES };
        if strategy == "io-uring-send-zc" {
            // Most notifications come while the kernel is entered for other work.
            assert!((MESSAGES..=2 * MESSAGES).contains(&made("io_uring_enter")), "{outcome:?}");
        } else {
            assert_eq!(made("sendto"), sends, "{outcome:?}");
            let reads = if strategy == "msg-zerocopy" { MESSAGES } else { 0 };
            assert_eq!(made("pread64"), reads, "{outcome:?}");
            // One notification may cover several sends, and each is awaited.
            assert_eq!(made("poll"), made("recvmsg"));
            assert!((1..=sends).contains(&made("recvmsg")), "{outcome:?}");
        }
        let said = outcome.zero_copy.unwrap();
        assert_eq!(said.notifications, sends);
        // A program's pages are not given to another program: over loopback they are copied. Some kernels
        // do not report this for io_uring.
        assert!(said.copied.is_none_or(|copied| copied == sends), "{said:?}");
    }
}

#[tokio::test]
async fn messages_of_any_size_are_sent() {
    let consumer = loopback().await;
    for (messages, bytes) in [(1, 1), (1, 65536), (1000, 7), (3, 4097), (2, 5_000_000)] {
        let payload = payload_of(messages, bytes);
        for strategy in STRATEGIES.iter() {
            let to = consumer.addr();
            let Some(sender) = possible(strategy.name, &payload, to, Cache::Cold).await else {
                continue;
            };
            assert_eq!(sender.go().await.unwrap().bytes, messages * bytes);
        }
    }
}

#[tokio::test]
async fn what_cannot_run_here_is_told_from_an_error() {
    let consumer = loopback().await;
    let odd = payload_of(3, 1000);
    let refused = sender("odirect-write", &odd, consumer.addr(), Cache::Cold).await.unwrap_err();
    assert!(matches!(refused, Error::Unsupported { .. }), "{refused}");
    let refused = refused.to_string();
    assert!(refused.contains("O_DIRECT") && refused.contains("such as 4KiB"), "{refused}");
}

#[tokio::test]
async fn the_cache_is_in_the_state_asked_for() {
    let (consumer, payload) = (loopback().await, payload());
    let warm = sender("sendfile", &payload, consumer.addr(), Cache::Warm).await.unwrap();
    assert_eq!(warm.cached_bytes(), payload.shape().bytes());
    let cold = sender("sendfile", &payload, consumer.addr(), Cache::Cold).await.unwrap();
    if payload.disk().device.is_some() {
        assert_eq!(cold.cached_bytes(), 0);
        assert_eq!(cold.go().await.unwrap().cached_bytes, 0);
    }
}

#[tokio::test]
async fn a_changed_byte_is_a_failure() {
    let error = fails_with(lying_consumer(|received| received[1000] ^= 1)).await;
    assert!(error.contains("other bytes than were sent"), "{error}");
}

#[tokio::test]
async fn a_lost_byte_is_a_failure() {
    let error = fails_with(lying_consumer(|received| received.truncate(received.len() - 1))).await;
    assert!(error.contains("received 2621439 bytes of 2621440"), "{error}");
}

/// Whether it sends to a consumer, by a connection.
fn sends(strategy: &Strategy) -> bool {
    strategy.route.has_consumer() && !strategy.receives() && !sends_datagrams(strategy)
}

fn sends_datagrams(strategy: &Strategy) -> bool {
    strategy.route == Route::Datagrams
}

/// A fake consumer of datagrams, given by its handling of its connection and its socket.
fn fake_mailbox(
    bytes: u64,
    serve: impl FnOnce(TcpStream, UdpSocket) + Send + 'static,
) -> SocketAddr {
    fake_consumer(move |mut stream| {
        let mut theirs = [0; Mailbox::LENGTH];
        stream.read_exact(&mut theirs).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        stream.write_all(&Mailbox { port, bytes }.encode()).unwrap();
        serve(stream, socket);
    })
}

async fn datagrams_fail_with(strategy: &Strategy, to: SocketAddr) -> String {
    let payload = payload();
    match sender(strategy.name, &payload, to, Cache::Warm).await {
        Ok(sender) => sender.go().await.unwrap_err().to_string(),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_lost_datagram_is_a_failure_that_says_so() {
    for strategy in STRATEGIES.iter().filter(|strategy| sends_datagrams(strategy)) {
        let to = fake_mailbox(u64::MAX, |mut stream, socket| {
            stream.read_to_end(&mut Vec::new()).unwrap();
            drop(socket);
            let answer = Answer { bytes: 1000, hash: blake3::hash(b"") };
            stream.write_all(&answer.encode()).unwrap();
        });
        let error = datagrams_fail_with(strategy, to).await;
        assert!(error.contains("1000 of 2621440 bytes arrived"), "{error}");
        assert!(error.contains("nobody sends those again"), "{error}");
    }
}

#[tokio::test]
async fn a_consumer_that_takes_no_more_datagrams_is_named() {
    for strategy in STRATEGIES.iter().filter(|strategy| sends_datagrams(strategy)) {
        let to = fake_mailbox(u64::MAX, |_, socket| drop(socket));
        let error = datagrams_fail_with(strategy, to).await;
        assert!(error.contains("closed the connection after"), "{error}");
    }
}

#[tokio::test]
async fn datagrams_that_may_not_find_room_are_not_sent() {
    for strategy in STRATEGIES.iter().filter(|strategy| sends_datagrams(strategy)) {
        let to = fake_mailbox(425_984, |mut stream, _| {
            assert_eq!(stream.read_to_end(&mut Vec::new()).unwrap(), 0);
        });
        let refused = sender(strategy.name, &payload(), to, Cache::Warm).await.unwrap_err();
        assert!(matches!(refused, Error::Unsupported { .. }), "{refused}");
        assert!(refused.to_string().contains("keeps 416 KiB"), "{refused}");
    }
}

#[tokio::test]
async fn a_dummy_device_gets_datagrams_and_nothing_else() {
    let payload = payload();
    for strategy in STRATEGIES.iter().filter(|strategy| strategy.route.has_consumer()) {
        let to = Receiver::Dummy;
        match sender(strategy.name, &payload, to, Cache::Warm).await {
            Ok(sender) => {
                assert!(sends_datagrams(strategy), "{}", strategy.name);
                let outcome = sender.go().await.unwrap();
                assert_eq!(outcome.checked_by, CheckedBy::DeviceCounters);
                assert_eq!(outcome.bytes, MESSAGES * MESSAGE_BYTES);
                // With an MTU of 9000, eight datagrams of two pages each.
                assert_eq!(outcome.calls["sendto"], 8 * MESSAGES);
                if let Some(said) = outcome.zero_copy {
                    assert_eq!((said.notifications, said.copied), (8 * MESSAGES, Some(0)));
                }
            }
            Err(Error::Unsupported { reason }) => {
                let no_connection = reason.contains("only datagrams can be sent to it");
                if sends_datagrams(strategy) {
                    eprintln!("skipped: {}: {reason}", strategy.name);
                }
                assert_ne!(no_connection, sends_datagrams(strategy), "{reason}");
            }
            Err(error) => panic!("{}: {error}", strategy.name),
        }
    }
}

#[tokio::test]
async fn a_consumer_that_closes_in_the_middle_is_named() {
    for strategy in STRATEGIES.iter().filter(|strategy| sends(strategy)) {
        let addr = fake_consumer(|mut stream| stream.read_exact(&mut [0; 1000]).unwrap());
        let payload = payload_of(200, MESSAGE_BYTES);
        let Some(sender) = possible(strategy.name, &payload, addr, Cache::Warm).await else {
            continue;
        };
        let error = sender.go().await.unwrap_err().to_string();
        assert!(error.contains("closed the connection after"), "{error}");
        assert!(error.contains("of 13107200 bytes"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[tokio::test]
async fn a_consumer_that_ends_without_an_answer_is_named() {
    let error = fails_with(fake_consumer(|mut stream| {
        std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
        stream.shutdown(Shutdown::Both).unwrap();
    }));
    let error = error.await;
    assert!(error.contains("closed the connection after 2621440 of 2621440"), "{error}");
}

#[tokio::test]
async fn a_consumer_that_was_killed_is_named() {
    let (consumer, payload) = (loopback().await, payload());
    let sender = sender("read-write", &payload, consumer.addr(), Cache::Warm).await.unwrap();
    signal(consumer.pid(), Signal::KILL);
    wait_for_end(consumer.pid());
    let error = sender.go().await.unwrap_err().to_string();
    assert!(error.contains("closed the connection after"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_no_consumer_is_told_from_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || listener.accept().unwrap().0.write_all(b"220 ready\r\n").unwrap());
    let error = sender("sendfile", &payload(), addr, Cache::Warm).await.unwrap_err().to_string();
    assert!(error.contains("is no consumer"), "{error}");
}

#[tokio::test]
async fn an_unreachable_consumer_says_how_to_start_one() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let error = sender("sendfile", &payload(), addr, Cache::Warm).await.unwrap_err().to_string();
    assert!(error.contains(&addr.to_string()), "{error}");
    assert!(error.contains("Connection refused"), "{error}");
    assert!(error.contains("workloads consume"), "{error}");
}

#[tokio::test]
async fn an_unknown_strategy_names_the_known_ones() {
    let consumer = loopback().await;
    let error = sender("teleport", &payload(), consumer.addr(), Cache::Warm).await.unwrap_err();
    let error = error.to_string();
    assert!(error.contains("teleport") && error.contains("read-write, mmap-write"), "{error}");
}

#[tokio::test]
async fn a_missing_namespace_is_an_error_of_the_consumer() {
    let network = Network::Namespace("/run/netns/copytrace-nowhere".into());
    let error = Consumer::start(exe(), &network).await.unwrap_err().to_string();
    assert!(error.contains("ip netns add copytrace-nowhere"), "{error}");
}

#[tokio::test]
async fn a_program_without_the_verbs_is_an_error_and_no_wait() {
    let error = Consumer::start(Path::new("/bin/true"), &Network::Loopback).await.unwrap_err();
    assert!(matches!(error, Error::ChildEnded { who: "consumer", .. }), "{error}");
    let error = Consumer::start(Path::new("/bin/echo"), &Network::Loopback).await.unwrap_err();
    assert!(matches!(error, Error::ChildGibberish { .. }), "{error}");
}

#[tokio::test]
async fn a_sender_that_was_killed_is_an_error_and_no_wait() {
    let (consumer, payload) = (loopback().await, payload());
    let sender = sender("sendfile", &payload, consumer.addr(), Cache::Warm).await.unwrap();
    signal(sender.pid(), Signal::KILL);
    let error = sender.go().await.unwrap_err();
    assert!(matches!(error, Error::ChildEnded { who: "sender", .. }), "{error}");
}

#[tokio::test]
async fn children_leave_ctrl_c_to_the_driver_and_end_with_their_handles() {
    let (consumer, payload) = (loopback().await, payload());
    let first = sender("sendfile", &payload, consumer.addr(), Cache::Warm).await.unwrap();
    let second = sender("sendfile", &payload, consumer.addr(), Cache::Warm).await.unwrap();
    for pid in [consumer.pid(), first.pid(), second.pid()] {
        signal(pid, Signal::INT);
    }
    first.go().await.unwrap();
    let pids = [consumer.pid(), second.pid()];
    drop((second, consumer));
    pids.into_iter().for_each(wait_for_end);
}

#[test]
fn children_end_with_their_parent() {
    let script = r#""$0" run-consumer --listen 127.0.0.1:0 --parent $$ & wait"#;
    let mut shell = Command::new("/bin/sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_workloads")])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ConsumerEvent::Listening { pid, .. } = serde_json::from_str(&line).unwrap() else {
        panic!("{line}")
    };
    assert!(is_running(pid));
    shell.kill().unwrap();
    shell.wait().unwrap();
    wait_for_end(pid);
}

#[test]
fn a_child_of_somebody_else_ends_at_once() {
    let arguments = ["run-consumer", "--listen", "127.0.0.1:0", "--parent", "1"];
    let output = Command::new(exe()).args(arguments).output().unwrap();
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
}
