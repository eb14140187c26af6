//! From the counters of one flow to its traffic.

use tracer_common::{Event, Key, call, operation};
use tracer_ledger::{
    Mover,
    flows::{Calls, Operations, Traffic, derive::BETWEEN, stacks::Seen},
    merge,
};

use super::{
    counts::{Counts, sum},
    movements::{copy_of, on_bus, seen, syscall_name},
};
use crate::witness::Plan;

/// The traffic of one flow, from its counts.
pub fn observe(counts: &Counts, plan: &Plan) -> Traffic {
    let of = |event| counts.total(event);
    let mut traffic = Traffic {
        page_faults_user: of(Event::FaultUser).calls,
        page_faults_kernel: of(Event::FaultKernel).calls,
        switches_voluntary: of(Event::SwitchVoluntary).calls,
        switches_involuntary: of(Event::SwitchInvoluntary).calls,
        nic_header_bytes: on_bus(counts, Event::NicHeader).bytes,
        nic_retransmitted_bytes: on_bus(counts, Event::NicRetransmit).bytes,
        disk_metadata_bytes: of(Event::DiskMetadata).bytes,
        movements: merge(&seen(counts, plan)),
        ..Traffic::default()
    };
    for (key, tally) in counts.of(Event::Syscall) {
        let calls = traffic.calls.entry(syscall_name(key.detail)).or_default();
        calls.count += tally.calls;
        calls.bytes += tally.bytes;
    }
    let bytes_where = |is_wanted: &dyn Fn(u8) -> bool| {
        sum(counts.of(Event::Syscall).filter(|(key, _)| is_wanted(key.kind))).bytes
    };
    let of_kind = |kind: u8| bytes_where(&|it| it & !call::BESIDES == kind);
    let besides = |flag: u8| bytes_where(&|it| it & flag != 0);
    let spent = of(Event::Syscall).spent;
    (traffic.cpu_time_ns, traffic.cpu_cycles) = (spent.time, spent.cycles);
    // Bytes from memory to memory are in no flow.
    let flowing = traffic.calls.iter().filter(|(name, _)| !BETWEEN.contains(&name.as_str()));
    traffic.payload_bytes = flowing.map(|(_, calls)| calls.bytes).sum();
    traffic.mapped_bytes = of_kind(call::FROM_MAPPING);
    traffic.linked_bytes = of_kind(call::LINKED);
    traffic.tls_bytes = of_kind(call::TLS);
    traffic.zero_copy_bytes = besides(call::ZERO_COPY);
    traffic.direct_bytes = besides(call::DIRECT);
    traffic.upper_bytes = besides(call::UPPER);
    let linear = of(Event::NicLinear);
    (traffic.linear_bytes, traffic.linear_packets) = (linear.bytes, linear.calls);
    traffic.operations = operations(counts);
    traffic
}

/// `IORING_OP_…` of `linux/io_uring.h`: those that move bytes.
const OPERATIONS: &[(u32, &str)] = &[
    (1, "READV"),
    (2, "WRITEV"),
    (4, "READ_FIXED"),
    (5, "WRITE_FIXED"),
    (9, "SENDMSG"),
    (10, "RECVMSG"),
    (22, "READ"),
    (23, "WRITE"),
    (26, "SEND"),
    (27, "RECV"),
    (30, "SPLICE"),
    (33, "TEE"),
    (47, "SEND_ZC"),
    (48, "SENDMSG_ZC"),
];

fn operations(counts: &Counts) -> Vec<Operations> {
    let named = counts.of(Event::IoUring).filter_map(|(key, tally)| {
        let (_, name) = OPERATIONS.iter().find(|(code, _)| *code == key.detail)?;
        Some(Operations {
            name: (*name).to_owned(),
            on_socket: key.kind == operation::ON_SOCKET,
            calls: Calls { count: tally.calls, bytes: tally.bytes },
        })
    });
    named.collect()
}

/// The sighting for a key with a stack, if stacks are taken for such keys.
pub fn sighting(key: &Key, plan: &Plan) -> Option<Seen> {
    if key.event == Event::Syscall as u8 {
        return Some(Seen::Call(syscall_name(key.detail)));
    }
    let ((from, to, by), routine) = copy_of(key, plan)?;
    (by == Mover::Cpu).then(|| Seen::Copy { from, to, routine: routine.to_owned() })
}
