//! The ends of flows from the eBPF programs' descriptions: kind, name and medium.

use tracer_common::flow::{NO_DESCRIPTOR, Object};
use tracer_ledger::flows::{Endpoint, Kind, medium::Medium};

use super::{
    path::Mounts,
    socket::{ClientPorts, protocol},
    words::{numbered, text},
};

const S_IFMT: u16 = libc::S_IFMT as u16;
const S_IFREG: u16 = libc::S_IFREG as u16;
const S_IFDIR: u16 = libc::S_IFDIR as u16;
const S_IFIFO: u16 = libc::S_IFIFO as u16;
const S_IFSOCK: u16 = libc::S_IFSOCK as u16;
const S_IFCHR: u16 = libc::S_IFCHR as u16;
const S_IFBLK: u16 = libc::S_IFBLK as u16;

/// The facts of this machine that the names of objects depend on.
#[derive(Debug, Default)]
pub struct Surroundings {
    mounts: Mounts,
    client_ports: ClientPorts,
}

impl Surroundings {
    /// The current ones.
    pub fn read() -> Self {
        Self { mounts: Mounts::read(), client_ports: ClientPorts::read() }
    }

    /// The kind and the name of an object.
    pub fn endpoint(&self, object: &Object) -> Endpoint {
        let told_apart = object.identity.holder != 0;
        let descriptor = object.identity.descriptor;
        let descriptor = (told_apart && descriptor != NO_DESCRIPTOR).then_some(descriptor);
        Endpoint { descriptor, medium: medium(object), ..self.described(object) }
    }

    fn described(&self, object: &Object) -> Endpoint {
        let inode = object.identity.inode;
        match object.mode & S_IFMT {
            S_IFREG | S_IFDIR => Endpoint::new(Kind::File, self.mounts.path(object)),
            S_IFIFO if object.components <= 1 => numbered(Kind::Pipe, "pipe", inode),
            S_IFIFO => Endpoint::new(Kind::Pipe, self.mounts.path(object)),
            S_IFSOCK => self.client_ports.endpoint(object),
            // An anonymous inode, such as an eventfd's, has no kind in its mode.
            0 => Endpoint::new(Kind::Other, text(&object.path[0])),
            _ => Endpoint::new(Kind::Other, self.mounts.path(object)),
        }
    }
}

/// The medium of an object.
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

#[cfg(test)]
mod tests {
    use tracer_common::flow::{COMPONENT, DEPTH, Identity};

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

    fn surroundings() -> Surroundings {
        Surroundings {
            mounts: Mounts::parse("36 1 8:1 / /srv rw - ext4 /dev/sda1 rw"),
            client_ports: ClientPorts::parse("32768\t60999\n"),
        }
    }

    #[test]
    fn a_file_is_called_by_its_path() {
        let file = named(object(S_IFREG), &["log", "data"]);
        assert_eq!(surroundings().endpoint(&file), Endpoint::new(Kind::File, "/srv/data/log"));
    }

    #[test]
    fn a_path_that_is_too_deep_says_so() {
        let mut file = named(object(S_IFREG), &["h", "g", "f", "e", "d", "c", "b", "a"]);
        file.components += 1;
        assert_eq!(surroundings().endpoint(&file).name, "…/a/b/c/d/e/f/g/h");
    }

    #[test]
    fn a_connection_of_a_server_is_grouped_by_its_port_and_a_clients_by_the_server() {
        let mut socket = object(S_IFSOCK);
        (socket.family, socket.kind) = (libc::AF_INET as u16, libc::SOCK_STREAM as u16);
        socket.local[..4].copy_from_slice(&[10, 0, 0, 1]);
        socket.remote[..4].copy_from_slice(&[10, 0, 0, 2]);
        (socket.local_port, socket.remote_port) = (80, 40000);
        let server = surroundings().endpoint(&socket);
        assert_eq!(server.name, "10.0.0.1:80 → 10.0.0.2:40000");
        assert_eq!((server.kind, server.group.as_str()), (Kind::Tcp, "port 80"));
        (socket.local_port, socket.remote_port) = (40000, 9092);
        assert_eq!(surroundings().endpoint(&socket).group, "→ 10.0.0.2:9092");
    }
}
