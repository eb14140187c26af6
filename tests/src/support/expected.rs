//! The textbook's claims as numbers, and the additions of a real kernel.

/// The expected numbers of one strategy.
pub struct Expected {
    /// Its name.
    pub strategy: &'static str,
    /// System calls per message.
    pub calls_a_message: f64,
    /// System calls per transfer.
    pub calls_once: f64,
    /// CPU copies per payload byte.
    pub cpu: f64,
    /// Whether the source is a mapping of the program: its faults may split a copy in two, so that more
    /// bytes are requested than copied.
    pub faults_in_copy: bool,
    /// Claims that the measurement must confirm.
    pub confirmed: &'static [&'static str],
}

impl Expected {
    /// System calls per message, for `messages` messages.
    pub fn calls(&self, messages: f64) -> f64 {
        self.calls_a_message + self.calls_once / messages
    }
}

/// The textbook's three strategies.
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

/// A strategy that the textbook does not cover.
pub struct Further {
    /// Its name.
    pub strategy: &'static str,
    /// CPU copies per payload byte.
    pub cpu: f64,
    /// Copies by devices per payload byte, from a cold cache, and to a NIC if it goes to a socket.
    pub dma: f64,
    /// CPU copies per payload byte to a receiver on the same machine.
    pub looped: f64,
    /// Copies by devices per payload byte in that case.
    pub looped_dma: f64,
    /// CPU copies per payload byte to a NIC without scatter-gather.
    pub ungathered: f64,
    /// Whether the receiver is measured.
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

/// A strategy that sends nothing to a NIC, wherever the consumer is.
const fn local(strategy: &'static str, cpu: f64, dma: f64) -> Further {
    Further { looped_dma: dma, ungathered: cpu, ..further(strategy, cpu, dma) }
}

/// A strategy whose receiver is measured.
const fn receiving(strategy: &'static str, cpu: f64, dma: f64) -> Further {
    Further { receives: true, ..local(strategy, cpu, dma) }
}

/// The kernel never gives a receiver on the same machine another program's pages: it makes a late copy
/// (`skb_orphan_frags_rx` in `__netif_receive_skb_core`).
const fn zero_copy(strategy: &'static str, cpu: f64, dma: f64) -> Further {
    Further { looped: cpu + 1.0, ..further(strategy, cpu, dma) }
}

/// A datagram for a NIC without scatter-gather is copied into the packet at once, also by a zero-copy
/// send (`__ip_append_data` in net/ipv4/ip_output.c).
const fn datagrams(further: Further) -> Further {
    Further { ungathered: 1.0, ..further }
}

/// Counts of hardware breakpoints on the copy routines on Linux 6.1 and 6.12, by the way of the bytes:
/// `read` 1, `write` 1, pages by reference 0, O_DIRECT 0, the program's own copy 1, `copy_file_range` and
/// `sendfile` to a file of ext4 1, into a pipe or Unix socket 1 and out of it 1 by the other process,
/// `recv` 1, out of a socket into a pipe 0 and from there into a file 1, into a datagram 1. Not
/// recv-zerocopy: with a NIC the kernel copies more when it must make room in the receive queue.
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
    // Encryption is not a copy: the plain text is read in place, full records of it also in a program's
    // memory (`tls_sw_sendmsg` in net/tls/tls_sw.c).
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

/// CPU copies per payload byte of a zero-copy datagram before Linux 6.0: the bytes that fit into the 176
/// for headers, of which IP and UDP take 28, of datagrams of 1457 bytes (`__ip_append_data` in
/// net/ipv4/ip_output.c; `MAX_HEADER` of Debian’s; 64 KiB to an MTU of 1500).
pub const BESIDE_HEADERS: (&str, f64) = ("udp-msg-zerocopy", 148.0 / 1457.0);

/// The strategies for a dummy device, and their CPU copies per payload byte: the device drops its
/// packets, and never needs a copy of its own (`dummy_xmit` in drivers/net/dummy.c).
pub const TO_DUMMY: [(&str, f64); 2] = [("udp-send", 1.0), ("udp-msg-zerocopy", 0.0)];

/// The tolerance for numbers of copies: a few bytes of headers are copied too.
pub const COPY_TOLERANCE: f64 = 0.02;

/// The bytes by which breakpoints and function probes may disagree on copies of packets, here headers of
/// four bytes each: both test whether a packet was sent before, one after the other, and another CPU may
/// send meanwhile.
pub const HEADER_TOLERANCE: u64 = 64;

/// The tolerance between breakpoints and call sites where a fault splits a copy in two.
pub const FAULT_TOLERANCE: f64 = 0.001;
