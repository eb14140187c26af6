//! The disk that a file lies on, if any.

use std::{
    fmt, fs,
    os::fd::{AsFd, AsRawFd},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The file system and the block device of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Type of its file system, such as `ext4`.
    pub filesystem: String,
    /// Name of its block device, such as `vda1`. Without one, as on a tmpfs, the kernel reads from no
    /// disk.
    pub device: Option<String>,
}

impl Disk {
    /// The disk of an open file.
    pub fn of(file: impl AsFd) -> Result<Self> {
        let fd = file.as_fd().as_raw_fd();
        let info = read(&format!("/proc/self/fdinfo/{fd}"))?;
        let mounts = read("/proc/self/mountinfo")?;
        let mount = mount_id(&info).and_then(|id| Mount::find(&mounts, id));
        let stat = rustix::fs::fstat(&file).map_err(Error::os("stat the payload"))?;
        let device = block_device(rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
        // Some file systems, such as btrfs, give their files an anonymous device number.
        let device = device.or_else(|| mount.as_ref().and_then(Mount::device));
        let filesystem = mount.map_or("unknown", |mount| mount.filesystem);
        Ok(Self { filesystem: filesystem.to_owned(), device })
    }
}

impl fmt::Display for Disk {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.device {
            Some(device) => write!(out, "{} on {device}", self.filesystem),
            None => write!(out, "{} without a disk", self.filesystem),
        }
    }
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).map_err(Error::os_advice(format!("read {path}"), "mount /proc"))
}

fn block_device(major: u32, minor: u32) -> Option<String> {
    let link = fs::read_link(format!("/sys/dev/block/{major}:{minor}")).ok()?;
    Some(link.file_name()?.to_string_lossy().into_owned())
}

/// The mount a file belongs to, from its `fdinfo`.
fn mount_id(fdinfo: &str) -> Option<&str> {
    fdinfo.lines().find_map(|line| line.strip_prefix("mnt_id:")).map(str::trim)
}

/// One line of `/proc/self/mountinfo`.
#[derive(Debug, PartialEq, Eq)]
struct Mount<'a> {
    filesystem: &'a str,
    source: &'a str,
}

impl<'a> Mount<'a> {
    fn find(mountinfo: &'a str, id: &str) -> Option<Self> {
        let line = mountinfo.lines().find(|line| line.split(' ').next() == Some(id))?;
        // Optional fields of any number end with a lone dash.
        let (_, rest) = line.split_once(" - ")?;
        let mut fields = rest.split(' ');
        Some(Self { filesystem: fields.next()?, source: fields.next()? })
    }

    fn device(&self) -> Option<String> {
        let path = Path::new(self.source).strip_prefix("/dev").ok()?;
        Some(path.to_string_lossy().into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
35 22 0:30 / /dev/shm rw,nosuid shared:3 master:2 - tmpfs tmpfs rw
41 22 0:40 /@home /home rw - btrfs /dev/mapper/data rw,subvolid=257";

    #[test]
    fn a_mount_is_found_by_its_id() {
        assert_eq!(mount_id("pos:\t0\nflags:\t02\nmnt_id:\t22\nino:\t7\n"), Some("22"));
        let root = Mount::find(MOUNTS, "22").unwrap();
        assert_eq!(root, Mount { filesystem: "ext4", source: "/dev/vda" });
        assert_eq!(Mount::find(MOUNTS, "2"), None);
    }

    #[test]
    fn only_a_source_in_dev_is_a_device() {
        assert_eq!(Mount::find(MOUNTS, "35").unwrap().device(), None);
        let device = Mount::find(MOUNTS, "41").unwrap().device();
        assert_eq!(device.as_deref(), Some("mapper/data"));
    }

    #[test]
    fn a_real_file_has_a_file_system() {
        let disk = Disk::of(tempfile::tempfile().unwrap()).unwrap();
        assert!(!disk.filesystem.is_empty() && disk.filesystem != "unknown", "{disk}");
    }
}
