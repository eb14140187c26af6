//! A nameless file of known random content: nothing of it remains, however the process ends.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::OpenOptionsExt,
    },
    path::{Path, PathBuf},
};

use rand::{RngCore, SeedableRng, rngs::SmallRng};
use rustix::{fs::FallocateFlags, io::Errno};
use serde::{Deserialize, Serialize};

use crate::{Disk, Error, Result};

/// Bytes written at a time.
const CHUNK: usize = 1 << 20;

/// The number of messages and their length: at least one byte, and fewer than a file can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    messages: u64,
    message_bytes: u64,
}

impl Shape {
    /// A shape of `messages` messages of `message_bytes` bytes each.
    pub fn new(messages: u64, message_bytes: u64) -> Result<Self> {
        let fits = messages
            .checked_mul(message_bytes)
            .is_some_and(|bytes| bytes > 0 && isize::try_from(bytes).is_ok());
        if !fits {
            return Err(Error::Shape { messages, message_bytes });
        }
        Ok(Self { messages, message_bytes })
    }

    /// The number of messages.
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// Bytes of one message.
    pub fn message_bytes(&self) -> u64 {
        self.message_bytes
    }

    /// Bytes of all messages.
    pub fn bytes(&self) -> u64 {
        self.messages * self.message_bytes
    }

    /// Bytes of one message, as a length in memory.
    pub(crate) fn message_len(&self) -> usize {
        self.message_bytes as usize
    }

    /// Bytes of all messages, as a length in memory.
    pub(crate) fn len(&self) -> usize {
        self.bytes() as usize
    }
}

/// The file.
#[derive(Debug)]
pub struct PayloadFile {
    file: File,
    shape: Shape,
    seed: u64,
    hash: blake3::Hash,
    disk: Disk,
    dir: PathBuf,
}

impl PayloadFile {
    /// Makes the file in a directory, in as few extents as the file system can, and waits for the disk.
    /// It is exactly as long as the messages: read-ahead past their end would be counted.
    pub fn create(dir: &Path, shape: Shape, seed: u64) -> Result<Self> {
        let full = |cause| disk_full(dir, shape, cause);
        let file = nameless(dir)?;
        reserve(&file, shape.bytes()).map_err(full)?;
        let hash = generate(shape.bytes(), seed, &file).map_err(full)?;
        file.sync_all().map_err(full)?;
        let disk = Disk::of(&file)?;
        Ok(Self { file, shape, seed, hash, disk, dir: dir.to_owned() })
    }

    /// The shape of its messages.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The seed of its content.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// blake3 of its content.
    pub fn hash(&self) -> blake3::Hash {
        self.hash
    }

    /// Its disk.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl AsFd for PayloadFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// An empty file beside a payload, with room for as many bytes.
pub(crate) fn empty(dir: &Path, shape: Shape) -> Result<File> {
    let file = nameless(dir)?;
    reserve(&file, shape.bytes())
        .and_then(|()| file.set_len(0))
        .map_err(|cause| disk_full(dir, shape, cause))?;
    Ok(file)
}

/// A new file without a name; on a file system without `O_TMPFILE`, one that is unlinked at once.
fn nameless(dir: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    let opened = match options.clone().custom_flags(libc::O_TMPFILE).open(dir) {
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
            let path = dir.join(format!(".copytrace-payload-{}", std::process::id()));
            let file = options.create_new(true).open(&path);
            file.and_then(|file| std::fs::remove_file(&path).map(|()| file))
        }
        opened => opened,
    };
    opened.map_err(Error::os_advice(
        format!("make a payload file in {}", dir.display()),
        "choose another directory with --dir",
    ))
}

/// Reserves the blocks: a full disk is noticed before the first write.
fn reserve(file: &File, bytes: u64) -> io::Result<()> {
    // The end of a child is a signal, and some file systems are interrupted by one.
    let reserve = || rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes);
    match rustix::io::retry_on_intr(reserve) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        result => Ok(result?),
    }
}

/// Writes random bytes, the same for the same seed, and returns their hash.
pub(crate) fn generate(bytes: u64, seed: u64, mut to: impl Write) -> io::Result<blake3::Hash> {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut hasher = blake3::Hasher::new();
    let mut chunk = vec![0; CHUNK];
    let mut left = bytes;
    while left > 0 {
        let length = left.min(CHUNK as u64);
        let part = &mut chunk[..length as usize];
        random.fill_bytes(part);
        hasher.update(part);
        to.write_all(part)?;
        left -= length;
    }
    Ok(hasher.finalize())
}

fn disk_full(dir: &Path, shape: Shape, cause: io::Error) -> Error {
    let dir = dir.to_owned();
    match cause.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT | libc::EFBIG) => {
            Error::DiskFull { free: free_bytes(&dir), dir, needed: shape.bytes(), cause }
        }
        _ => Error::os_advice(
            format!("write the payload file in {}", dir.display()),
            "choose another directory with --dir",
        )(cause),
    }
}

fn free_bytes(dir: &Path) -> u64 {
    rustix::fs::statvfs(dir).map_or(0, |stat| stat.f_bavail * stat.f_frsize)
}

#[cfg(test)]
mod tests {
    use std::{io::Read, os::unix::fs::FileExt};

    use proptest::prelude::*;

    use super::*;

    fn content(payload: &PayloadFile) -> Vec<u8> {
        let mut content = Vec::new();
        let mut file = &payload.file;
        io::Seek::rewind(&mut file).unwrap();
        file.read_to_end(&mut content).unwrap();
        content
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_file_is_the_messages_and_nothing_else(messages in 1_u64..50, bytes in 1_u64..70_000, seed: u64) {
            let dir = tempfile::tempdir().unwrap();
            let shape = Shape::new(messages, bytes).unwrap();
            let payload = PayloadFile::create(dir.path(), shape, seed).unwrap();
            let content = content(&payload);
            prop_assert_eq!(content.len() as u64, messages * bytes);
            prop_assert_eq!(blake3::hash(&content), payload.hash());
            prop_assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn a_seed_gives_the_same_content_again() {
        let dir = tempfile::tempdir().unwrap();
        let hash = |seed| {
            PayloadFile::create(dir.path(), Shape::new(3, 1000).unwrap(), seed).unwrap().hash()
        };
        assert_eq!(hash(1), hash(1));
        assert_ne!(hash(1), hash(2));
    }

    #[test]
    fn no_chunk_repeats_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        let shape = Shape::new(2, CHUNK as u64).unwrap();
        let payload = PayloadFile::create(dir.path(), shape, 7).unwrap();
        let (mut first, mut second) = ([0; 64], [0; 64]);
        payload.file.read_exact_at(&mut first, 0).unwrap();
        payload.file.read_exact_at(&mut second, CHUNK as u64).unwrap();
        assert_ne!(first, second);
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        for (messages, bytes) in [(0, 1), (1, 0), (u64::MAX, 2), (1 << 40, 1 << 30)] {
            assert!(Shape::new(messages, bytes).is_err(), "{messages} × {bytes}");
        }
    }

    #[test]
    fn a_full_disk_says_how_much_and_where() {
        let dir = tempfile::tempdir().unwrap();
        let shape = Shape::new(1, 1 << 61).unwrap();
        let error = PayloadFile::create(dir.path(), shape, 0).unwrap_err().to_string();
        assert!(error.contains("--dir") && error.contains("2097152 TiB"), "{error}");
        assert!(error.contains(&dir.path().display().to_string()), "{error}");
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let error =
            PayloadFile::create(Path::new("/nowhere"), Shape::new(1, 1).unwrap(), 0).unwrap_err();
        assert!(error.to_string().contains("/nowhere"), "{error}");
    }
}
