//! Names of the objects that the programs described: files by their path, connections by their
//! addresses.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use tracer_common::flow::{self, COMPONENT, DEPTH, NO_DESCRIPTOR, Object};
use tracer_ledger::flows::{Endpoint, Flow, Kind, Process, UNKNOWN, medium::Medium};

const S_IFMT: u16 = libc::S_IFMT as u16;
const S_IFREG: u16 = libc::S_IFREG as u16;
const S_IFDIR: u16 = libc::S_IFDIR as u16;
const S_IFIFO: u16 = libc::S_IFIFO as u16;
const S_IFSOCK: u16 = libc::S_IFSOCK as u16;
const S_IFCHR: u16 = libc::S_IFCHR as u16;
const S_IFBLK: u16 = libc::S_IFBLK as u16;

/// What is known by name. It grows with what is traced; of more than [`MOST`] processes or objects,
/// those that were not used for longest are forgotten.
#[derive(Debug, Default)]
pub struct Names {
    processes: BTreeMap<u32, Used<Process>>,
    objects: BTreeMap<u32, Used<Endpoint>>,
    /// The processes of threads, where those are told apart.
    owners: BTreeMap<u32, u32>,
    uses: u64,
    mounts: BTreeMap<u32, PathBuf>,
    local_ports: Option<(u16, u16)>,
}

/// Names of each kind that are remembered.
const MOST: usize = 100_000;

/// A name, and when it was used last.
#[derive(Debug)]
struct Used<T> {
    it: T,
    at: u64,
}

/// Keeps the half that was used last.
fn forget<T>(names: &mut BTreeMap<u32, Used<T>>) {
    if names.len() <= MOST {
        return;
    }
    let mut uses: Vec<u64> = names.values().map(|name| name.at).collect();
    let (_, middle, _) = uses.select_nth_unstable(MOST / 2);
    let middle = *middle;
    names.retain(|_, name| name.at > middle);
}

impl Names {
    /// Reads where file systems are mounted.
    pub fn new() -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
        Self {
            // The last of a key stays: of a device that is mounted at many places, the first one's.
            mounts: mounts.lines().rev().filter_map(mount).collect(),
            local_ports: range.ok().and_then(|range| port_range(&range)),
            ..Self::default()
        }
    }

    /// Remembers what processes and objects are.
    pub fn learn(&mut self, processes: Vec<(u32, flow::Process)>, objects: Vec<(u32, Object)>) {
        forget(&mut self.processes);
        forget(&mut self.objects);
        if self.owners.len() > MOST {
            self.owners.retain(|thread, _| self.processes.contains_key(thread));
        }
        self.uses += 1;
        let at = self.uses;
        for (id, process) in processes {
            let name = text(&process.name).into_owned();
            let thread = (process.thread != 0).then_some(process.thread);
            let it = Process { name, pid: Some(process.pid), thread };
            self.processes.insert(id, Used { it, at });
            if process.owner != 0 {
                self.owners.insert(id, process.owner);
            }
        }
        for (id, object) in objects {
            let it = self.endpoint(&object);
            self.objects.insert(id, Used { it, at });
        }
    }

    /// A flow by names. What nobody knows any longer is called so.
    pub fn flow(&mut self, flow: tracer_common::Flow) -> Flow {
        self.uses += 1;
        let unknown = || Process { name: UNKNOWN.into(), pid: None, thread: None };
        Flow {
            process: used(&mut self.processes, flow.process, self.uses).unwrap_or_else(unknown),
            source: (flow.source != flow::ANY).then(|| self.object(flow.source)),
            destination: self.object(flow.destination),
        }
    }

    /// The process that has a thread; a process is its own.
    pub fn owner(&self, process: u32) -> u32 {
        self.owners.get(&process).copied().unwrap_or(process)
    }

    /// The id that users know a process by.
    pub fn pid(&self, process: u32) -> Option<u32> {
        self.processes.get(&process).and_then(|process| process.it.pid)
    }

    /// An object by its name.
    pub fn object(&mut self, id: u32) -> Endpoint {
        if is_no_object(id) {
            return Endpoint::memory();
        }
        let unknown = || Endpoint::new(Kind::Other, UNKNOWN);
        used(&mut self.objects, id, self.uses).unwrap_or_else(unknown)
    }

    fn endpoint(&self, object: &Object) -> Endpoint {
        let told_apart = object.identity.holder != 0;
        let descriptor = object.identity.descriptor;
        let descriptor = (told_apart && descriptor != NO_DESCRIPTOR).then_some(descriptor);
        Endpoint { descriptor, medium: medium(object), ..self.described(object) }
    }

    fn described(&self, object: &Object) -> Endpoint {
        let inode = object.identity.inode;
        match object.mode & S_IFMT {
            S_IFREG | S_IFDIR => Endpoint::new(Kind::File, self.path(object)),
            S_IFIFO if object.components <= 1 => numbered(Kind::Pipe, "pipe", inode),
            S_IFIFO => Endpoint::new(Kind::Pipe, self.path(object)),
            S_IFSOCK => self.socket(object),
            // An anonymous inode, such as an eventfd's, has no kind in its mode.
            0 => Endpoint::new(Kind::Other, text(&object.path[0])),
            _ => Endpoint::new(Kind::Other, self.path(object)),
        }
    }

    fn socket(&self, object: &Object) -> Endpoint {
        let inode = object.identity.inode;
        let kind = match (i32::from(object.family), i32::from(object.kind)) {
            (libc::AF_INET | libc::AF_INET6, libc::SOCK_STREAM) => Kind::Tcp,
            (libc::AF_INET | libc::AF_INET6, libc::SOCK_DGRAM) => Kind::Udp,
            (libc::AF_UNIX, _) => return numbered(Kind::Unix, "unix", inode),
            _ => return numbered(Kind::Other, "socket", inode),
        };
        let [local, remote] = addresses(object);
        let name = format!("{local} → {remote}");
        let is_client = self.local_ports.is_some_and(|(low, high)| {
            (low..=high).contains(&local.port()) && !(low..=high).contains(&remote.port())
        });
        let group = match is_client {
            true => format!("→ {remote}"),
            false => format!("port {}", local.port()),
        };
        Endpoint { group, ..Endpoint::new(kind, name) }
    }

    /// By its descriptor while the process lives and has it, else as the kernel's programs saw it.
    fn path(&self, object: &Object) -> String {
        let by_descriptor = (object.descriptor != NO_DESCRIPTOR)
            .then(|| PathBuf::from(format!("/proc/{}/fd/{}", object.pid, object.descriptor)))
            .filter(|link| {
                fs::metadata(link).is_ok_and(|found| found.ino() == object.identity.inode)
            })
            .and_then(|link| fs::read_link(link).ok())
            // Both may be another file's by now.
            .filter(|path| is_called(path, text(&object.path[0]).as_ref()));
        let path = by_descriptor.unwrap_or_else(|| self.walked(object));
        path.to_string_lossy().into_owned()
    }

    fn walked(&self, object: &Object) -> PathBuf {
        let count = usize::from(object.components);
        let names = object.path[..count.min(DEPTH)].iter().rev();
        let mut path = match (count > DEPTH, self.mounts.get(&object.identity.device)) {
            (false, Some(mount)) => mount.clone(),
            (false, None) => PathBuf::new(),
            (true, _) => PathBuf::from("…"),
        };
        path.extend(names.map(component));
        path
    }
}

/// A name as the kernel's programs saw it, marked where there was no room for all of it.
fn component(name: &[u8; COMPONENT]) -> String {
    let whole = text(name);
    let is_cut = !name[..COMPONENT - 1].contains(&0);
    if is_cut {
        // What is cut in the middle of a character has no last one.
        format!("{}…", whole.trim_end_matches(char::REPLACEMENT_CHARACTER))
    } else {
        whole.into_owned()
    }
}

/// Whether a file's path ends with this name, which is cut where it is longer than there is room for.
/// The kernel says of a path that the file is deleted.
fn is_called(path: &Path, name: &str) -> bool {
    let last = path.file_name().unwrap_or_default().to_string_lossy();
    let cut = name.len() + 1 >= COMPONENT;
    last == name || last.strip_suffix(" (deleted)") == Some(name) || cut && last.starts_with(name)
}

fn used<T: Clone>(names: &mut BTreeMap<u32, Used<T>>, id: u32, now: u64) -> Option<T> {
    let name = names.get_mut(&id)?;
    name.at = now;
    Some(name.it.clone())
}

fn is_no_object(id: u32) -> bool {
    id == flow::MEMORY || id == flow::ANY
}

fn numbered(kind: Kind, what: &str, inode: u64) -> Endpoint {
    Endpoint { group: String::new(), ..Endpoint::new(kind, format!("{what}:[{inode}]")) }
}

/// What it is on.
fn medium(object: &Object) -> Medium {
    let number = object.medium;
    // `MAJOR` and `MINOR` of the kernel.
    let (major, minor) = (number >> 20, number & 0xf_ffff);
    match object.mode & S_IFMT {
        S_IFREG | S_IFDIR | 0 if number != 0 => Medium::FileSystem(number),
        S_IFCHR => Medium::Character(major, minor),
        S_IFBLK => Medium::Block(major, minor),
        S_IFSOCK => protocol(object),
        _ => Medium::Usual,
    }
}

/// Nothing is to be told of the usual protocol of a family.
fn protocol(object: &Object) -> Medium {
    let number = object.medium as u16;
    let usual = match (i32::from(object.family), i32::from(object.kind)) {
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_STREAM) => Some(libc::IPPROTO_TCP),
        (libc::AF_INET | libc::AF_INET6, libc::SOCK_DGRAM) => Some(libc::IPPROTO_UDP),
        (libc::AF_UNIX, _) => return Medium::Usual,
        _ => None,
    };
    match usual {
        Some(usual) if usual as u16 == number => Medium::Usual,
        _ => Medium::Protocol(object.family, number),
    }
}

/// What lies before the first 0.
fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end])
}

fn addresses(object: &Object) -> [SocketAddr; 2] {
    let ip = |bytes: [u8; 16]| -> IpAddr {
        if i32::from(object.family) == libc::AF_INET {
            return [bytes[0], bytes[1], bytes[2], bytes[3]].into();
        }
        Ipv6Addr::from(bytes).to_canonical()
    };
    [
        SocketAddr::new(ip(object.local), object.local_port),
        SocketAddr::new(ip(object.remote), object.remote_port),
    ]
}

/// A line of mountinfo: the kernel's number of the device, and where it is mounted as a whole.
fn mount(line: &str) -> Option<(u32, PathBuf)> {
    let mut fields = line.split(' ').skip(2);
    let (major, minor) = fields.next()?.split_once(':')?;
    let (root, point) = (fields.next()?, fields.next()?);
    // `MKDEV` of the kernel.
    let device = major.parse::<u32>().ok()? << 20 | minor.parse::<u32>().ok()?;
    (root == "/").then(|| (device, Path::new(point).to_owned()))
}

fn port_range(text: &str) -> Option<(u16, u16)> {
    let mut numbers = text.split_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use tracer_common::flow::Identity;

    use super::*;

    fn object(mode: u16) -> Object {
        Object {
            identity: Identity {
                inode: 12,
                address: 0,
                device: 8 << 20 | 1,
                generation: 0,
                descriptor: 0,
                holder: 0,
            },
            mode,
            family: 0,
            kind: 0,
            local_port: 0,
            remote_port: 0,
            components: 0,
            pid: 0,
            descriptor: NO_DESCRIPTOR,
            medium: 0,
            local: [0; 16],
            remote: [0; 16],
            path: [[0; COMPONENT]; DEPTH],
        }
    }

    fn named(mut object: Object, names: &[&str]) -> Object {
        for (component, name) in object.path.iter_mut().zip(names) {
            component[..name.len()].copy_from_slice(name.as_bytes());
        }
        object.components = names.len() as u16;
        object
    }

    fn names() -> Names {
        let mounts = "36 1 8:1 / /srv rw - ext4 /dev/sda1 rw";
        Names {
            mounts: mounts.lines().filter_map(mount).collect(),
            local_ports: port_range("32768\t60999\n"),
            ..Names::default()
        }
    }

    #[test]
    fn a_name_that_is_cut_is_marked() {
        let mut name = [0; COMPONENT];
        name[..3].copy_from_slice(b"abc");
        assert_eq!(component(&name), "abc");
        assert_eq!(component(&[b'a'; COMPONENT]), format!("{}…", "a".repeat(COMPONENT)));
        let mut wide = [b'a'; COMPONENT];
        wide[COMPONENT - 2..].copy_from_slice(&"漢".as_bytes()[..2]);
        assert_eq!(component(&wide), format!("{}…", "a".repeat(COMPONENT - 2)));
    }

    #[test]
    fn a_file_is_called_by_its_path() {
        let file = named(object(S_IFREG), &["log", "data"]);
        assert_eq!(names().endpoint(&file), Endpoint::new(Kind::File, "/srv/data/log"));
    }

    #[test]
    fn a_descriptor_that_is_another_files_by_now_does_not_name_it() {
        for path in ["/srv/turn-9", "/srv/turn-9 (deleted)"] {
            assert!(is_called(Path::new(path), "turn-9"), "{path}");
        }
        assert!(!is_called(Path::new("/srv/turn-92"), "turn-9"));
        let long = "n".repeat(COMPONENT + 9);
        assert!(is_called(&Path::new("/srv").join(&long), &long[..COMPONENT - 1]));
    }

    #[test]
    fn a_path_that_is_too_deep_says_so() {
        let mut file = named(object(S_IFREG), &["h", "g", "f", "e", "d", "c", "b", "a"]);
        file.components += 1;
        assert_eq!(names().endpoint(&file).name, "…/a/b/c/d/e/f/g/h");
    }

    #[test]
    fn a_connection_of_a_server_is_grouped_by_its_port_and_a_clients_by_the_server() {
        let mut socket = object(S_IFSOCK);
        (socket.family, socket.kind) = (libc::AF_INET as u16, libc::SOCK_STREAM as u16);
        socket.local[..4].copy_from_slice(&[10, 0, 0, 1]);
        socket.remote[..4].copy_from_slice(&[10, 0, 0, 2]);
        (socket.local_port, socket.remote_port) = (80, 40000);
        let server = names().endpoint(&socket);
        assert_eq!(server.name, "10.0.0.1:80 → 10.0.0.2:40000");
        assert_eq!((server.kind, server.group.as_str()), (Kind::Tcp, "port 80"));
        (socket.local_port, socket.remote_port) = (40000, 9092);
        assert_eq!(names().endpoint(&socket).group, "→ 10.0.0.2:9092");
    }

    #[test]
    fn what_is_not_known_is_called_so_and_memory_is_memory() {
        let flow = tracer_common::Flow { process: 3, source: flow::MEMORY, destination: 77 };
        let mut names = names();
        let named = names.flow(flow);
        assert_eq!(named.process.name, "(unknown)");
        assert_eq!(named.source, Some(Endpoint::memory()));
        assert_eq!(named.destination.name, "(unknown)");
        assert_eq!(names.flow(tracer_common::Flow { source: flow::ANY, ..flow }).source, None);
    }

    #[test]
    fn what_was_used_last_is_remembered() {
        let used = |at| Used { it: at, at };
        let mut names = (0..=MOST as u32).map(|id| (id, used(u64::from(id)))).collect();
        forget(&mut names);
        assert_eq!(names.len(), MOST / 2);
        assert!(names.contains_key(&(MOST as u32)) && !names.contains_key(&0));
    }
}
