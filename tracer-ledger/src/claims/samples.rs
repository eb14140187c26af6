//! Observations as on a real kernel, for tests: 256 messages of 64 KiB.

use std::collections::BTreeMap;

use crate::{Movement, Mover, Observation, Place, Provenance, Side};

pub(crate) const MESSAGES: u64 = 256;
pub(crate) const MESSAGE_BYTES: u64 = 64 * 1024;
pub(crate) const PAYLOAD: u64 = MESSAGES * MESSAGE_BYTES;

/// A measured movement of the sender's, of the whole payload.
pub(crate) fn moved(from: Place, to: Place, by: Mover, witness: &str) -> Movement {
    Movement {
        from,
        to,
        by,
        side: Side::Sender,
        provenance: Provenance::Measured,
        witness: witness.into(),
        bytes: PAYLOAD,
        calls: MESSAGES,
        verified_bytes: None,
    }
}

fn from_disk() -> Movement {
    moved(Place::Disk, Place::PageCache, Mover::Dma, "block_rq_complete")
}

fn to_nic() -> Movement {
    moved(Place::Socket, Place::Nic, Mover::Dma, "net_dev_start_xmit")
}

fn copied_into_socket(from: Place) -> Movement {
    moved(from, Place::Socket, Mover::Cpu, "tcp_sendmsg_locked+0x375 → _copy_from_iter")
}

fn received() -> Movement {
    Movement {
        side: Side::Receiver,
        ..moved(
            Place::Socket,
            Place::User,
            Mover::Cpu,
            "__skb_datagram_iter+0x8a → _copy_to_iter, tcp_recvmsg_locked+0x4c1 → _copy_to_iter",
        )
    }
}

/// The kernel's copy for its socket when the device has no scatter-gather.
pub(crate) fn linearised() -> Movement {
    moved(Place::Socket, Place::Kernel, Mover::Cpu, "__pskb_pull_tail+0x5b → skb_copy_bits")
}

/// The calls of one message, in the order they are given in, if there are several.
pub(crate) fn order(syscalls: &[(&str, u64)]) -> Vec<String> {
    let names = syscalls.iter().map(|&(name, _)| name.to_owned());
    if syscalls.len() > 1 { names.collect() } else { Vec::new() }
}

fn observed(strategy: &str, syscalls: &[(&str, u64)], movements: Vec<Movement>) -> Observation {
    Observation {
        strategy: strategy.into(),
        message_bytes: MESSAGE_BYTES,
        messages: MESSAGES,
        payload_bytes: PAYLOAD,
        syscalls: syscalls.iter().map(|&(name, made)| (name.into(), made)).collect(),
        call_order: order(syscalls),
        context_switches_voluntary: 301,
        context_switches_involuntary: 6,
        movements,
        nic_header_bytes: 778_536,
        ..Observation::default()
    }
}

pub(crate) fn read_write() -> Observation {
    let copied_out =
        moved(Place::PageCache, Place::User, Mover::Cpu, "filemap_read+0x1f2 → _copy_to_iter");
    let movements =
        vec![from_disk(), copied_out, copied_into_socket(Place::User), to_nic(), received()];
    observed("read-write", &[("read", MESSAGES), ("write", MESSAGES)], movements)
}

pub(crate) fn mmap_write() -> Observation {
    Observation {
        page_faults_kernel: MESSAGES,
        ..observed(
            "mmap-write",
            &[("mmap", 1), ("write", MESSAGES)],
            vec![from_disk(), copied_into_socket(Place::PageCache), to_nic(), received()],
        )
    }
}

pub(crate) fn sendfile() -> Observation {
    let referred = moved(Place::PageCache, Place::Socket, Mover::Reference, "skb_splice_from_iter");
    observed(
        "sendfile",
        &[("sendfile", MESSAGES)],
        vec![from_disk(), referred, to_nic(), received()],
    )
}

/// An observation as it is with a warm cache.
pub(crate) fn warm(mut observed: Observation) -> Observation {
    observed.movements.retain(|movement| movement.from != Place::Disk);
    observed
}

/// The same to a consumer on the same machine.
pub(crate) fn to_loopback(mut observed: Observation) -> Observation {
    observed.movements.retain(|movement| movement.to != Place::Nic);
    observed
}

/// The same to a device without scatter-gather.
pub(crate) fn without_scatter_gather(mut observed: Observation) -> Observation {
    for movement in &mut observed.movements {
        if movement.to == Place::Nic {
            movement.from = Place::Kernel;
        }
    }
    observed.movements.push(linearised());
    observed
}

/// The same on a kernel without function probes: copies by the CPU follow from return values.
pub(crate) fn derived(mut observed: Observation) -> Observation {
    let sources =
        BTreeMap::from([(Place::User, "sys_exit_read"), (Place::Socket, "sys_exit_write")]);
    for movement in &mut observed.movements {
        if movement.side == Side::Sender
            && movement.by != Mover::Dma
            && let Some(&source) = sources.get(&movement.to)
        {
            movement.provenance = Provenance::Derived;
            movement.witness = source.into();
        }
    }
    observed
}

/// The same for a single message.
pub(crate) fn one_message(mut observed: Observation) -> Observation {
    observed.messages = 1;
    observed.payload_bytes = MESSAGE_BYTES;
    observed.page_faults_kernel = observed.page_faults_kernel.min(1);
    observed.syscalls.values_mut().for_each(|made| *made = 1);
    for movement in &mut observed.movements {
        (movement.bytes, movement.calls) = (MESSAGE_BYTES, 1);
    }
    observed
}
