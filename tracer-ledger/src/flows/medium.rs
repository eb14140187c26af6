//! The medium of an object: a file system, a device, a protocol. It tells more than the kind: whether
//! bytes pass through the page cache, and which ways have no witness.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The medium of an object.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Medium {
    /// The usual one of its kind, or an unknown one.
    #[default]
    Usual,
    /// A file system, by its magic number (`linux/magic.h`).
    FileSystem(u32),
    /// A character device, by its major and minor number.
    Character(u32, u32),
    /// A block device, likewise.
    Block(u32, u32),
    /// A socket's family and protocol, if it is not plain TCP, UDP or Unix.
    Protocol(u16, u16),
}

/// The way a file system keeps its files in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cache {
    /// In the page cache.
    Pages,
    /// In the page cache; and files can share their blocks, so that a copy moves nothing.
    SharedBlocks,
    /// In its own way, or it depends.
    Own,
    /// Not at all: the kernel generates the content.
    Nothing,
}

/// (magic number, name, cache)
const FILE_SYSTEMS: &[(u32, &str, Cache)] = &[
    (0xef53, "ext4", Cache::Pages),
    (0x0102_1994, "tmpfs", Cache::Pages),
    (0x8584_58f6, "ramfs", Cache::Pages),
    (0xf2f5_2010, "f2fs", Cache::Pages),
    (0x4d44, "FAT", Cache::Pages),
    (0x2011_bab0, "exFAT", Cache::Pages),
    (0x7366_746e, "NTFS", Cache::Pages),
    (0x7371_7368, "squashfs", Cache::Pages),
    (0xe0f5_e1e2, "EROFS", Cache::Pages),
    (0x9660, "ISO 9660", Cache::Pages),
    (0x1501_3346, "UDF", Cache::Pages),
    (0x00c3_6400, "Ceph", Cache::Pages),
    (0x5846_5342, "XFS", Cache::SharedBlocks),
    (0x9123_683e, "btrfs", Cache::SharedBlocks),
    (0xca45_1a4e, "bcachefs", Cache::SharedBlocks),
    (0x794c_7630, "overlayfs", Cache::SharedBlocks),
    (0x6969, "NFS", Cache::SharedBlocks),
    (0xff53_4d42, "CIFS", Cache::SharedBlocks),
    (0xfe53_4d42, "SMB", Cache::SharedBlocks),
    (0x6573_5546, "FUSE", Cache::Own),
    (0x0102_1997, "9P", Cache::Own),
    (0x2fc1_2fc1, "ZFS", Cache::Own),
    (0x9584_58f6, "hugetlbfs", Cache::Own),
    (0x9fa0, "/proc", Cache::Nothing),
    (0x6265_6572, "sysfs", Cache::Nothing),
    (0x6462_6720, "debugfs", Cache::Nothing),
    (0x7472_6163, "tracefs", Cache::Nothing),
    (0x0027_e0eb, "cgroup", Cache::Nothing),
    (0x6367_7270, "cgroup2", Cache::Nothing),
    (0x7363_6673, "securityfs", Cache::Nothing),
    (0xf97c_ff8c, "selinuxfs", Cache::Nothing),
    (0x6265_6570, "configfs", Cache::Nothing),
    (0xcafe_4a11, "bpffs", Cache::Nothing),
    (0x1980_0202, "message queues", Cache::Nothing),
    (0xde5e_81e4, "efivarfs", Cache::Nothing),
    (0x0904_1934, "anonymous inodes", Cache::Nothing),
];

/// Devices that move nothing: they discard writes, and return zeros. (major, minor)
const NULL: (u32, u32) = (1, 3);
const ZERO: (u32, u32) = (1, 5);
const FULL: (u32, u32) = (1, 7);

/// (major, minor, name)
const DEVICES: &[(u32, u32, &str)] = &[
    (1, 1, "/dev/mem"),
    (1, 8, "/dev/random"),
    (1, 9, "/dev/urandom"),
    (1, 11, "/dev/kmsg"),
    (5, 0, "a terminal"),
    (10, 200, "a TUN device"),
    (10, 229, "FUSE's device"),
];

/// (family, name)
const FAMILIES: &[(u16, &str)] = &[
    (16, "netlink"),
    (17, "packet sockets"),
    (21, "RDS"),
    (29, "CAN"),
    (30, "TIPC"),
    (31, "Bluetooth"),
    (38, "the kernel's cryptography (AF_ALG)"),
    (40, "vsock"),
    (43, "SMC"),
    (44, "AF_XDP"),
];

/// (protocol of IP, name)
const PROTOCOLS: &[(u16, &str)] =
    &[(1, "ICMP"), (33, "DCCP"), (132, "SCTP"), (136, "UDP-Lite"), (262, "MPTCP")];

const INET: [u16; 2] = [2, 10];
const PTY: std::ops::RangeInclusive<u32> = 136..=143;
const TTY: u32 = 4;

impl Medium {
    /// Whether it is the usual medium, which need not be named.
    pub fn is_usual(&self) -> bool {
        *self == Self::Usual
    }

    fn cache(self) -> Cache {
        let Self::FileSystem(magic) = self else { return Cache::Own };
        let known = FILE_SYSTEMS.iter().find(|(known, ..)| *known == magic);
        known.map_or(Cache::Own, |(.., cache)| *cache)
    }

    /// Whether its bytes are in the page cache, whose pages can be passed on. Older recordings do not
    /// tell.
    pub fn has_pages(self) -> bool {
        self.is_usual() || matches!(self.cache(), Cache::Pages | Cache::SharedBlocks)
    }

    /// Whether a copy of a file may share its blocks, so that nothing moves.
    pub fn shares_blocks(self) -> bool {
        self.cache() == Cache::SharedBlocks
    }

    /// Whether the kernel generates the content.
    pub fn is_made_by_kernel(self) -> bool {
        matches!(self, Self::FileSystem(_)) && self.cache() == Cache::Nothing
    }

    /// Whether nothing can move there.
    pub fn moves_nothing(self) -> bool {
        matches!(self, Self::Character(major, minor) if [NULL, ZERO, FULL].contains(&(major, minor)))
    }

    /// Its kind, for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Usual => "unknown",
            Self::FileSystem(_) if self.cache() == Cache::Pages => "unknown",
            Self::FileSystem(_) => "file-system",
            Self::Character(..) | Self::Block(..) => "device",
            Self::Protocol(..) => "protocol",
        }
    }
}

impl fmt::Display for Medium {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |table: &[(u16, &'static str)], number: u16| {
            table.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
        };
        match *self {
            Self::Usual => formatter.write_str("this way"),
            Self::FileSystem(magic) => {
                match FILE_SYSTEMS.iter().find(|(known, ..)| *known == magic) {
                    Some((_, name, _)) => formatter.write_str(name),
                    None => write!(formatter, "the file system {magic:#x}"),
                }
            }
            Self::Character(major, _) if PTY.contains(&major) || major == TTY => {
                formatter.write_str("a terminal")
            }
            Self::Character(major, minor) => {
                match DEVICES.iter().find(|(a, b, _)| (*a, *b) == (major, minor)) {
                    Some((.., name)) => formatter.write_str(name),
                    None => write!(formatter, "the character device {major}:{minor}"),
                }
            }
            Self::Block(major, minor) => write!(formatter, "the block device {major}:{minor}"),
            Self::Protocol(family, protocol) => {
                let of_inet = INET.contains(&family).then(|| named(PROTOCOLS, protocol)).flatten();
                match of_inet.or_else(|| named(FAMILIES, family)) {
                    Some(name) => formatter.write_str(name),
                    None => write!(formatter, "sockets of family {family}, protocol {protocol}"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_have_names() {
        for (medium, name) in [
            (Medium::FileSystem(0x6573_5546), "FUSE"),
            (Medium::FileSystem(7), "the file system 0x7"),
            (Medium::Character(10, 200), "a TUN device"),
            (Medium::Character(136, 5), "a terminal"),
            (Medium::Protocol(2, 262), "MPTCP"),
            (Medium::Protocol(16, 0), "netlink"),
            (Medium::Protocol(2, 255), "sockets of family 2, protocol 255"),
        ] {
            assert_eq!(medium.to_string(), name);
        }
    }

    #[test]
    fn numbers_are_there_once() {
        let mut magics: Vec<_> = FILE_SYSTEMS.iter().map(|(magic, ..)| magic).collect();
        magics.sort_unstable();
        magics.dedup();
        assert_eq!(magics.len(), FILE_SYSTEMS.len());
    }

    #[test]
    fn pages_are_passed_on_from_the_page_cache_alone() {
        assert!(Medium::Usual.has_pages() && Medium::FileSystem(0xef53).has_pages());
        assert!(!Medium::FileSystem(0x9fa0).has_pages());
        assert!(!Medium::FileSystem(0x6573_5546).has_pages());
        assert!(Medium::Character(1, 3).moves_nothing() && !Medium::Usual.moves_nothing());
    }
}
