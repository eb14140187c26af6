//! The documents' claims as numbers, and what a real kernel adds to them.

/// What one strategy must show.
pub struct Expected {
    /// Its name.
    pub strategy: &'static str,
    /// System calls for every message.
    pub calls_a_message: f64,
    /// System calls for the whole transfer.
    pub calls_once: f64,
    /// Copies by the CPU for each payload byte.
    pub cpu: f64,
    /// Whether pages that the program maps itself are copied from: their faults may cut a copy in
    /// two, so that what was asked for exceeds what was copied.
    pub faults_in_copy: bool,
    /// Claims that the measurement must confirm.
    pub confirmed: &'static [&'static str],
}

impl Expected {
    /// System calls for each of so many messages.
    pub fn calls(&self, messages: f64) -> f64 {
        self.calls_a_message + self.calls_once / messages
    }
}

/// The documents' three strategies.
pub const STRATEGIES: [Expected; 3] = [
    Expected {
        strategy: "read-write",
        calls_a_message: 2.0,
        calls_once: 0.0,
        cpu: 2.0,
        faults_in_copy: false,
        confirmed: &["T1", "T2", "T3"],
    },
    Expected {
        strategy: "mmap-write",
        calls_a_message: 1.0,
        calls_once: 1.0,
        cpu: 1.0,
        faults_in_copy: true,
        confirmed: &["M3"],
    },
    Expected {
        strategy: "sendfile",
        calls_a_message: 1.0,
        calls_once: 0.0,
        cpu: 0.0,
        faults_in_copy: false,
        confirmed: &["S1", "S2", "S3", "S4"],
    },
];

/// A strategy of which the documents do not speak.
pub struct Further {
    /// Its name.
    pub strategy: &'static str,
    /// Copies by the CPU for each payload byte.
    pub cpu: f64,
    /// Copies by devices for each payload byte, from a cold cache, and to a NIC if it goes to a socket.
    pub dma: f64,
    /// Copies by the CPU for each payload byte to a receiver on the same machine.
    pub looped: f64,
    /// Copies by devices for each payload byte then.
    pub looped_dma: f64,
    /// Copies by the CPU for each payload byte to a NIC without scatter-gather.
    pub ungathered: f64,
    /// Whether the receiver is what is measured.
    pub receives: bool,
}

const fn further(strategy: &'static str, cpu: f64, dma: f64) -> Further {
    Further {
        strategy,
        cpu,
        dma,
        looped: cpu,
        looped_dma: dma - 1.0,
        ungathered: cpu + 1.0,
        receives: false,
    }
}

/// A strategy that sends nothing to a NIC, whatever the consumer is reached by.
const fn local(strategy: &'static str, cpu: f64, dma: f64) -> Further {
    Further { looped_dma: dma, ungathered: cpu, ..further(strategy, cpu, dma) }
}

/// One of which the receiver is measured.
const fn receiving(strategy: &'static str, cpu: f64, dma: f64) -> Further {
    Further { receives: true, ..local(strategy, cpu, dma) }
}

/// The kernel never lets a receiver on the same machine have another program's memory: it copies
/// late (`skb_orphan_frags_rx` in `__netif_receive_skb_core`).
const fn zero_copy(strategy: &'static str, cpu: f64, dma: f64) -> Further {
    Further { looped: cpu + 1.0, ..further(strategy, cpu, dma) }
}

/// A datagram for a NIC without scatter-gather is copied into the packet in the first place, also by a
/// zero-copy send (`__ip_append_data` in net/ipv4/ip_output.c).
const fn datagrams(further: Further) -> Further {
    Further { ungathered: 1.0, ..further }
}

/// What hardware breakpoints on the copy routines counted on Linux 6.1 and 6.12, by the way the
/// bytes take there: `read` 1, `write` 1, pages by reference 0, O_DIRECT 0, the program's own 1,
/// `copy_file_range` and `sendfile` to a file of ext4 1, into a pipe or unix socket 1 and out of it 1
/// that is the other process's, `recv` 1, out of a socket into a pipe 0 and from there into a file 1,
/// into a datagram 1.
/// Not recv-zerocopy: to a NIC the kernel copies more when it must make room in the receive queue.
pub const FURTHER: [Further; 27] = [
    further("pread-writev", 2.0, 2.0),
    further("splice", 0.0, 2.0),
    further("odirect-write", 1.0, 2.0),
    further("mmap-touch-write", 1.0, 2.0),
    further("mmap-populate-write", 1.0, 2.0),
    further("mmap-heap-write", 2.0, 2.0),
    zero_copy("msg-zerocopy", 1.0, 2.0),
    further("io-uring-send", 2.0, 2.0),
    zero_copy("io-uring-send-zc", 1.0, 2.0),
    further("io-uring-splice", 0.0, 2.0),
    // What is enciphered is not copied: the plain text is read where it lies, full records of it
    // also in a program's memory (`tls_sw_sendmsg` in net/tls/tls_sw.c).
    further("sendfile-ktls", 0.0, 2.0),
    further("write-ktls", 1.0, 2.0),
    further("write", 1.0, 1.0),
    further("vmsplice", 0.0, 1.0),
    local("read-write-file", 2.0, 1.0),
    local("copy-file-range", 1.0, 1.0),
    local("sendfile-file", 1.0, 1.0),
    local("mmap-memcpy-file", 1.0, 1.0),
    local("pipe", 1.0, 0.0),
    local("pipe-vmsplice", 0.0, 0.0),
    local("unix-stream", 1.0, 0.0),
    local("process-vm-readv", 1.0, 0.0),
    local("shared-memory", 1.0, 0.0),
    receiving("recv", 1.0, 0.0),
    receiving("splice-recv", 1.0, 0.0),
    datagrams(further("udp-send", 1.0, 1.0)),
    datagrams(zero_copy("udp-msg-zerocopy", 0.0, 1.0)),
];

/// What Linux copies by the CPU before 6.0 of each payload byte of a zero-copy datagram: what fits into the
/// 176 bytes that it keeps for headers, of which IP and UDP take 28, of datagrams of 1457 bytes
/// (`__ip_append_data` in net/ipv4/ip_output.c; `MAX_HEADER` of Debian’s; 64 KiB to an MTU of 1500).
pub const BESIDE_HEADERS: (&str, f64) = ("udp-msg-zerocopy", 148.0 / 1457.0);

/// What can be sent to a dummy device, and the copies by the CPU for each payload byte: it drops what
/// it gets, and so never needs one of its own (`dummy_xmit` in drivers/net/dummy.c).
pub const TO_DUMMY: [(&str, f64); 2] = [("udp-send", 1.0), ("udp-msg-zerocopy", 0.0)];

/// How far a number of copies may be off: a few bytes of headers are copied, too.
pub const COPY_TOLERANCE: f64 = 0.02;

/// How many bytes breakpoints and function probes may disagree by on copies of packets, which are
/// headers of four bytes each here: both ask whether a packet was sent before, one after the other,
/// and another CPU may send meanwhile.
pub const HEADER_TOLERANCE: u64 = 64;

/// How far breakpoints and call sites may disagree where a fault cuts a copy in two.
pub const FAULT_TOLERANCE: f64 = 0.001;
