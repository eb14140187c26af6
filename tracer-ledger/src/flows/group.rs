//! Rows of a report: flows that are alike are grouped.

use std::collections::BTreeSet;

use super::{Detail, Endpoint, Flow, Kind, Ledger, Process, Traffic};

/// The property that tells the rows of a report apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Per {
    /// Program, file, and the port of a server
    #[default]
    #[cfg_attr(feature = "clap", value(alias = "file"))]
    Path,
    /// Program and kinds of source and destination
    Kind,
    /// Program, and the port of a server: whatever files it sends
    Listener,
    /// Process, and as for `path`
    Process,
    /// Thread, and as for `path`
    Thread,
    /// Process, file and connection
    Connection,
    /// Process and file descriptor
    Fd,
}

impl Per {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Path,
        Self::Kind,
        Self::Listener,
        Self::Process,
        Self::Thread,
        Self::Connection,
        Self::Fd,
    ];

    /// Whether connections to the same port are grouped.
    pub fn is_of_ports(self) -> bool {
        matches!(self, Self::Path | Self::Listener | Self::Process | Self::Thread)
    }

    /// The detail that the measurement needs for it.
    pub fn detail(self) -> Detail {
        match self {
            Self::Thread => Detail::Thread,
            Self::Fd => Detail::Descriptor,
            Self::Path | Self::Kind | Self::Listener | Self::Process | Self::Connection => {
                Detail::Process
            }
        }
    }
}

/// A row.
#[derive(Clone, Debug)]
pub struct Row {
    /// The flow it stands for, named by the common part of all.
    pub flow: Flow,
    /// The number of flows it is made of.
    pub flows: u64,
    /// The number of connections, for flows into or out of a socket.
    pub connections: u64,
    /// Their traffic.
    pub traffic: Traffic,
}

/// The rows of the flows that move data, the busiest first.
pub fn group(ledger: &Ledger, per: Per) -> Vec<Row> {
    let mut groups: std::collections::BTreeMap<Flow, Vec<(&Flow, &Traffic)>> = Default::default();
    let known = ledger.iter().filter(|(flow, _)| flow.is_data() && flow.source.is_some());
    for (flow, traffic) in known {
        groups.entry(coarse(flow, per)).or_default().push((flow, traffic));
    }
    let mut rows: Vec<Row> =
        groups.into_iter().map(|(flow, members)| row(flow, &members)).collect();
    // The sort is stable: equally busy ones stay in their order.
    rows.sort_by_key(|row| std::cmp::Reverse((row.traffic.payload_bytes, row.traffic.syscalls())));
    rows
}

/// Traffic in no row: the kernel's work for sockets whose writer is unknown.
pub fn unattributed(ledger: &Ledger) -> Traffic {
    let unknown = ledger.iter().filter(|(flow, _)| flow.source.is_none() || !flow.is_data());
    unknown.fold(Traffic::default(), |mut sum, (_, traffic)| {
        sum.add(traffic);
        sum
    })
}

/// Drops the distinction of connections, and of processes of one name, to make the ledger smaller.
pub fn fold(ledger: Ledger) -> Ledger {
    let mut folded = Ledger::new();
    for (flow, traffic) in ledger {
        super::add(&mut folded, coarse(&flow, Per::Path), &traffic);
    }
    folded
}

pub(super) fn coarse(flow: &Flow, per: Per) -> Flow {
    let Flow { process, source, destination } = flow;
    let process = match per {
        Per::Thread => process.clone(),
        Per::Process | Per::Connection | Per::Fd => Process { thread: None, ..process.clone() },
        Per::Path | Per::Kind | Per::Listener => {
            Process { pid: None, thread: None, ..process.clone() }
        }
    };
    let end = |end: &Endpoint| match per {
        Per::Fd => end.clone(),
        Per::Connection => Endpoint { descriptor: None, ..end.clone() },
        Per::Path | Per::Process | Per::Thread => other(end, Endpoint::new(end.kind, &end.group)),
        Per::Listener if end.kind.is_socket() => Endpoint::new(end.kind, &end.group),
        Per::Kind | Per::Listener => other(end, Endpoint::new(end.kind, "")),
    };
    Flow { process, source: source.as_ref().map(end), destination: end(destination) }
}

/// Other objects have nothing in common but their medium.
pub(super) fn other(end: &Endpoint, coarse: Endpoint) -> Endpoint {
    let medium = if end.kind == Kind::Other { end.medium } else { coarse.medium };
    Endpoint { medium, ..coarse }
}

fn row(mut flow: Flow, members: &[(&Flow, &Traffic)]) -> Row {
    let pids: BTreeSet<Option<u32>> = members.iter().map(|(flow, _)| flow.process.pid).collect();
    if let (1, Some(pid)) = (pids.len(), pids.first()) {
        flow.process.pid = *pid;
    }
    let sockets =
        members.iter().flat_map(|(flow, _)| flow.source.iter().chain([&flow.destination]));
    let sockets: BTreeSet<&Endpoint> = sockets.filter(|end| end.kind.is_socket()).collect();
    name_the_only(&mut flow, members);
    let mut traffic = Traffic::default();
    for (_, member) in members {
        traffic.add(member);
    }
    Row { flow, flows: members.len() as u64, connections: sockets.len() as u64, traffic }
}

/// An end that is the same in all members is called by its own name.
fn name_the_only(flow: &mut Flow, members: &[(&Flow, &Traffic)]) {
    let only = |end: fn(&Flow) -> Option<&Endpoint>| {
        let ends: BTreeSet<_> = members.iter().map(|(flow, _)| end(flow)).collect();
        if ends.len() == 1 { ends.first().copied().flatten().cloned() } else { None }
    };
    if let Some(source) = only(|flow| flow.source.as_ref()) {
        flow.source = Some(source);
    }
    if let Some(destination) = only(|flow| Some(&flow.destination)) {
        flow.destination = destination;
    }
    for end in flow.source.iter_mut().chain([&mut flow.destination]) {
        if end.kind == Kind::Memory {
            *end = Endpoint::memory();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::tests::{file, flow, tcp};

    fn sent(bytes: u64) -> Traffic {
        Traffic { payload_bytes: bytes, ..Traffic::default() }
    }

    fn ledger() -> Ledger {
        Ledger::from([
            (flow(file("a"), tcp(1)), sent(10)),
            (flow(file("a"), tcp(2)), sent(20)),
            (flow(file("b"), tcp(2)), sent(5)),
            (flow(Endpoint::memory(), Endpoint::memory()), sent(0)),
        ])
    }

    fn names(per: Per) -> Vec<(String, String, u64)> {
        let rows = group(&ledger(), per);
        let name = |row: &Row| {
            let source = row.flow.source.as_ref().unwrap().name.clone();
            (source, row.flow.destination.name.clone(), row.traffic.payload_bytes)
        };
        rows.iter().map(name).collect()
    }

    #[test]
    fn rows_are_as_fine_as_asked_for_and_the_busiest_comes_first() {
        let whole = "127.0.0.1:80 → 127.0.0.1:2".to_owned();
        let path = [("a".into(), "port 80".into(), 30), ("b".into(), whole.clone(), 5)];
        assert_eq!(names(Per::Path), path);
        assert_eq!(names(Per::Kind), [("".into(), "".into(), 35)]);
        assert_eq!(names(Per::Connection).len(), 3);
        assert_eq!(names(Per::Connection)[0], ("a".into(), whole, 20));
    }

    #[test]
    fn threads_and_descriptors_are_apart_only_if_asked_for() {
        let used = |thread: u32, descriptor: u32| {
            let at = Endpoint { descriptor: Some(descriptor), ..file("a") };
            let Flow { process, source, destination } = flow(at, tcp(1));
            let process = Process { thread: Some(thread), ..process };
            (Flow { process, source, destination }, sent(1))
        };
        let ledger = Ledger::from([used(7, 3), used(7, 4), used(8, 3), used(9, 3)]);
        let rows = [Per::Path, Per::Process, Per::Connection, Per::Fd, Per::Thread];
        assert_eq!(rows.map(|per| group(&ledger, per).len()), [1, 1, 1, 2, 3]);
    }

    #[test]
    fn connections_are_counted_once() {
        assert_eq!(group(&ledger(), Per::Kind)[0].connections, 2);
    }
}
