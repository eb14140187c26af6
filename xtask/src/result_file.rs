//! A file for a result, which takes the place of an older one only when it is whole.

use std::fs::{File, Permissions};
use std::io::{self, Seek as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

/// A file for a result: without a name until it is complete, and gone with this process.
pub struct ResultFile {
    path: PathBuf,
    gathered: File,
}

impl ResultFile {
    /// Finds out whether it can be written, so that a long run never ends in "permission denied".
    pub fn prepare(path: &Path) -> Result<Self> {
        let failed = || format!("cannot write the result to {}", path.display());
        ensure!(!path.is_dir(), "{}: it is a folder", failed());
        let gathered = tempfile::tempfile_in(folder(path)).with_context(failed)?;
        Ok(Self { path: path.to_owned(), gathered })
    }

    /// The file to write the result to.
    pub fn writer(&self) -> io::Result<File> {
        self.gathered.try_clone()
    }

    /// Gives it its name, unless there is no result. A pipe or a device is written to.
    pub fn keep(mut self) -> Result<()> {
        let failed = || format!("cannot write the result to {}", self.path.display());
        if self.gathered.metadata().with_context(failed)?.len() == 0 {
            return Ok(());
        }
        self.gathered.rewind().with_context(failed)?;
        if self.path.exists() && !self.path.is_file() {
            let mut there = File::options().write(true).open(&self.path).with_context(failed)?;
            return io::copy(&mut self.gathered, &mut there).map(drop).with_context(failed);
        }
        // As the umask has it, which the library leaves out otherwise.
        let mut whole = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder(&self.path))
            .with_context(failed)?;
        io::copy(&mut self.gathered, &mut whole).with_context(failed)?;
        whole.persist(&self.path).map(drop).with_context(failed)
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;

    #[test]
    fn an_older_file_stays_until_the_result_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("result");
        fs::write(&path, "old").unwrap();
        let begun = ResultFile::prepare(&path).unwrap();
        begun.writer().unwrap().write_all(b"half").unwrap();
        drop(begun);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        let whole = ResultFile::prepare(&path).unwrap();
        whole.writer().unwrap().write_all(b"new").unwrap();
        whole.keep().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn where_nothing_can_be_written_is_known_at_once() {
        let folder = tempfile::tempdir().unwrap();
        assert!(ResultFile::prepare(folder.path()).is_err());
        assert!(ResultFile::prepare(&folder.path().join("none/result")).is_err());
        assert!(ResultFile::prepare(Path::new("/dev/null")).is_ok());
    }
}
