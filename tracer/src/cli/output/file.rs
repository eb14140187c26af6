//! A file for a result. It gets its name when the result is written: if this program fails or ends
//! before, an existing file of that name is unchanged.

use std::{
    fs::File,
    io::{self, Write as _},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::fs::FileTypeExt as _,
    },
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, accessat, linkat, openat, renameat, unlinkat},
    io::Errno,
};

use crate::cli::user::User;

/// Permissions to read a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// By the umask.
    Usual,
    /// The owner only: the content may be private.
    Owner,
}

impl Readers {
    fn mode(self) -> Mode {
        Mode::from_raw_mode(if self == Self::Owner { 0o600 } else { 0o666 })
    }
}

/// A file that can be written, and is not written yet.
pub struct ResultFile {
    path: PathBuf,
    readers: Readers,
    /// The user who called sudo: owner of the file, whose permissions decide where it may be written.
    owner: Option<User>,
    way: Way,
}

/// The way of writing.
enum Way {
    /// To a file without a name in the same folder, which then gets the name.
    Unnamed { file: File, folder: OwnedFd },
    /// To the existing file, truncated when it is written: the folder permits no unnamed file.
    InPlace,
    /// To an open file: a device or pipe, or a result that was written before.
    Open(File),
}

impl ResultFile {
    /// Checks that the file can be written, before anything is measured.
    pub fn prepare(path: &Path, readers: Readers) -> anyhow::Result<Self> {
        let owner = User::behind_sudo()?;
        let way = as_owner(owner.as_ref(), || way(path, readers)).with_context(|| cannot(path))?;
        Ok(Self { path: path.to_owned(), readers, owner, way })
    }

    /// Writes a result, or a further one after it.
    pub fn write(&mut self, result: &[u8]) -> anyhow::Result<()> {
        let Self { path, readers, owner, way } = self;
        let open = match std::mem::replace(way, Way::InPlace) {
            Way::Unnamed { mut file, folder } => (|| {
                file.write_all(result)?;
                name(&file, &folder, path, owner.as_ref())?;
                Ok(file)
            })(),
            Way::InPlace => as_owner(owner.as_ref(), || {
                let flags = OFlags::CREATE | OFlags::TRUNC;
                let mut file = open(path, flags, *readers)?;
                file.write_all(result)?;
                Ok(file)
            }),
            Way::Open(mut file) => file.write_all(result).map(|()| file).map_err(Into::into),
        };
        *way = Way::Open(open.with_context(|| cannot(path))?);
        Ok(())
    }
}

fn cannot(path: &Path) -> String {
    format!("cannot write the result to {}", path.display())
}

/// Does `work` as the owner, if that is another user.
fn as_owner<T: Send>(
    owner: Option<&User>,
    work: impl FnOnce() -> anyhow::Result<T> + Send,
) -> anyhow::Result<T> {
    match owner {
        Some(owner) => owner.act(work)?,
        None => work(),
    }
}

fn way(path: &Path, readers: Readers) -> anyhow::Result<Way> {
    if let Some(file) = stream(path)? {
        return Ok(Way::Open(file));
    }
    let is_there = match open(path, OFlags::empty(), readers) {
        Ok(_) => true,
        Err(Errno::NOENT) => false,
        Err(Errno::LOOP) => bail!("it is a symbolic link; name the file that it leads to"),
        Err(error) => return Err(error.into()),
    };
    let folder = folder(path);
    let directory =
        openat(CWD, folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    match openat(&directory, ".", flags, readers.mode()) {
        Ok(file) => Ok(Way::Unnamed { file: file.into(), folder: directory }),
        // The file may be writable although its folder is not.
        Err(_) if is_there => Ok(Way::InPlace),
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {
            accessat(&directory, ".", rustix::fs::Access::WRITE_OK, AtFlags::EACCESS)?;
            Ok(Way::InPlace)
        }
        Err(error) => Err(error.into()),
    }
}

/// A stream for a path that is not a regular file, or is one of the system's in `/dev`, such as
/// `/dev/stdout`.
fn stream(path: &Path) -> io::Result<Option<File>> {
    let is_stream = |file: std::fs::FileType| {
        file.is_fifo() || file.is_char_device() || file.is_block_device() || file.is_socket()
    };
    let found = std::fs::metadata(path).is_ok_and(|found| is_stream(found.file_type()));
    if !found && !path.starts_with("/dev/") {
        return Ok(None);
    }
    let file = File::options().append(true).open(path)?;
    // It may have been replaced meanwhile.
    if !path.starts_with("/dev/") && !is_stream(file.metadata()?.file_type()) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(Some(file))
}

fn open(path: &Path, flags: OFlags, readers: Readers) -> rustix::io::Result<File> {
    let flags = flags | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(CWD, path, flags, readers.mode()).map(Into::into)
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Gives a file its name, in place of one that has it.
fn name(file: &File, folder: &OwnedFd, path: &Path, owner: Option<&User>) -> anyhow::Result<()> {
    let name = path.file_name().context("it has no name")?;
    let passing = format!(".copytrace-{}-{}", std::process::id(), file.as_raw_fd());
    let unnamed = format!("/proc/self/fd/{}", file.as_raw_fd());
    linkat(CWD, unnamed, folder, &passing, AtFlags::SYMLINK_FOLLOW)?;
    // In a sticky folder the kernel forbids the owner to replace another user's file.
    as_owner(owner, || Ok(renameat(folder, &passing, folder, name)?)).inspect_err(|_| {
        // The first error is the one to report.
        let _ = unlinkat(folder, &passing, AtFlags::empty());
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn entries(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn the_old_file_stays_until_there_is_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report");
        std::fs::write(&path, "old").unwrap();
        drop(ResultFile::prepare(&path, Readers::Usual).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(entries(folder.path()), ["report"]);
        let mut file = ResultFile::prepare(&path, Readers::Usual).unwrap();
        file.write(b"new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        file.write(b", newer").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new, newer");
        assert_eq!(entries(folder.path()), ["report"]);
    }

    #[test]
    fn a_recording_is_its_owners() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recording");
        ResultFile::prepare(&path, Readers::Owner).unwrap().write(b"secret").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_symbolic_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, target) = (folder.path().join("link"), folder.path().join("target"));
        std::fs::write(&target, "mine").unwrap();
        symlink(&target, &path).unwrap();
        let refused = ResultFile::prepare(&path, Readers::Usual).err().unwrap();
        assert!(format!("{refused:#}").contains("symbolic link"), "{refused:#}");
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "mine");
    }

    #[test]
    fn a_device_is_written_and_not_replaced() {
        ResultFile::prepare(Path::new("/dev/null"), Readers::Usual).unwrap().write(b"x").unwrap();
        let mut full = ResultFile::prepare(Path::new("/dev/full"), Readers::Usual).unwrap();
        assert!(full.write(b"x").is_err());
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_at_once() {
        let refused = ResultFile::prepare(Path::new("/nonexistent/report"), Readers::Usual).err();
        assert!(format!("{:#}", refused.unwrap()).contains("No such file"));
    }
}
