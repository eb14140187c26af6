//! Paths of files: from a file descriptor, or component by component from the eBPF programs.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use tracer_common::flow::{COMPONENT, DEPTH, NO_DESCRIPTOR, Object};

use super::words::text;

/// The mount points of file systems, by the kernel's number of the device.
#[derive(Debug, Default)]
pub struct Mounts(BTreeMap<u32, PathBuf>);

impl Mounts {
    /// The mounts of this process.
    pub fn read() -> Self {
        Self::parse(&fs::read_to_string("/proc/self/mountinfo").unwrap_or_default())
    }

    /// From lines of `mountinfo`.
    pub(super) fn parse(lines: &str) -> Self {
        // The last entry of a key stays: for a device mounted at several places, the first mount.
        Self(lines.lines().rev().filter_map(mount).collect())
    }

    /// By its descriptor while the process lives and has it open, else from the eBPF programs'
    /// description.
    pub fn path(&self, object: &Object) -> String {
        let by_descriptor = (object.descriptor != NO_DESCRIPTOR)
            .then(|| PathBuf::from(format!("/proc/{}/fd/{}", object.pid, object.descriptor)))
            .filter(|link| {
                fs::metadata(link).is_ok_and(|found| found.ino() == object.identity.inode)
            })
            .and_then(|link| fs::read_link(link).ok())
            // Both may belong to another file by now.
            .filter(|path| is_called(path, text(&object.path[0]).as_ref()));
        let path = by_descriptor.unwrap_or_else(|| self.walked(object));
        path.to_string_lossy().into_owned()
    }

    fn walked(&self, object: &Object) -> PathBuf {
        let count = usize::from(object.components);
        let names = object.path[..count.min(DEPTH)].iter().rev();
        let mut path = match (count > DEPTH, self.0.get(&object.identity.device)) {
            (false, Some(mount)) => mount.clone(),
            (false, None) => PathBuf::new(),
            (true, _) => PathBuf::from("…"),
        };
        path.extend(names.map(component));
        path
    }
}

/// A component from the eBPF programs' description, marked where it was cut.
fn component(name: &[u8; COMPONENT]) -> String {
    let whole = text(name);
    let is_cut = !name[..COMPONENT - 1].contains(&0);
    if is_cut {
        // A name that is cut inside a character loses that character.
        format!("{}…", whole.trim_end_matches(char::REPLACEMENT_CHARACTER))
    } else {
        whole.into_owned()
    }
}

/// Whether a file's path ends with this name, which may be cut. The kernel marks the path of a deleted
/// file.
fn is_called(path: &Path, name: &str) -> bool {
    let last = path.file_name().unwrap_or_default().to_string_lossy();
    let cut = name.len() + 1 >= COMPONENT;
    last == name || last.strip_suffix(" (deleted)") == Some(name) || cut && last.starts_with(name)
}

/// A line of mountinfo: the kernel's number of the device, and its mount point if it is mounted as a
/// whole.
fn mount(line: &str) -> Option<(u32, PathBuf)> {
    let mut fields = line.split(' ').skip(2);
    let (major, minor) = fields.next()?.split_once(':')?;
    let (root, point) = (fields.next()?, fields.next()?);
    // `MKDEV` of the kernel.
    let device = major.parse::<u32>().ok()? << 20 | minor.parse::<u32>().ok()?;
    (root == "/").then(|| (device, Path::new(point).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_descriptor_that_is_another_files_by_now_does_not_name_it() {
        for path in ["/srv/turn-9", "/srv/turn-9 (deleted)"] {
            assert!(is_called(Path::new(path), "turn-9"), "{path}");
        }
        assert!(!is_called(Path::new("/srv/turn-92"), "turn-9"));
        let long = "n".repeat(COMPONENT + 9);
        assert!(is_called(&Path::new("/srv").join(&long), &long[..COMPONENT - 1]));
    }
}
