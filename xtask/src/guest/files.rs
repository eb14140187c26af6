//! Files that a command wrote into its working folder: they would be lost with the guest, so they are
//! copied back, or listed if there are too many.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};

/// The guest's folder with the files written to its root, and nothing else.
const WRITTEN: &str = "/run/copytrace/written";

/// The limits of copying back.
const MOST_FILES: usize = 100;
const MOST_BYTES: u64 = 64 << 20;

/// Bytes of a file sent at once.
const PIECE: usize = 32 * 1024 - 5;

/// The header of a file, whose pieces follow.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// From the working folder.
    path: PathBuf,
    /// Permissions.
    mode: u32,
    /// In bytes.
    size: u64,
    /// It stays in the guest: the limit is reached.
    lost: bool,
}

/// In the guest: sends the files written below a folder.
pub fn give(
    folder: &Path,
    mut send_head: impl FnMut(&Head) -> io::Result<()>,
    mut send_piece: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let written = Path::new(WRITTEN).join(folder.strip_prefix("/").unwrap_or(folder));
    let mut bytes = 0;
    for (number, path) in files_below(&written).into_iter().enumerate() {
        let meta = path.metadata()?;
        let lost = number >= MOST_FILES || bytes + meta.len() > MOST_BYTES;
        let head = Head {
            path: path.strip_prefix(&written).unwrap_or(&path).to_owned(),
            mode: meta.permissions().mode() & 0o777,
            size: meta.len(),
            lost,
        };
        send_head(&head)?;
        if !lost {
            bytes += head.size;
            // As many bytes as announced, whatever happens to the file meanwhile.
            let padding = io::repeat(0);
            let mut content = File::open(&path)?.chain(padding).take(head.size);
            let mut piece = Vec::with_capacity(PIECE);
            while content.by_ref().take(PIECE as u64).read_to_end(&mut piece)? > 0 {
                send_piece(&piece)?;
                piece.clear();
            }
        }
    }
    Ok(())
}

/// All regular files below a folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(files_below(&entry.path())),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    found.sort();
    found
}

/// On this machine: receives the guest's files.
#[derive(Default)]
pub struct Taken {
    coming: Option<(Head, Vec<u8>)>,
    back: Vec<String>,
    lost: Vec<String>,
}

impl Taken {
    /// Handles the header of a file.
    pub fn head(&mut self, head: &[u8], folder: &Path) -> Result<()> {
        let head: Head = serde_json::from_slice(head)?;
        let is_below = head.path.components().all(|part| matches!(part, Component::Normal(_)));
        ensure!(is_below, "the guest gives {}, which is in no working folder", head.path.display());
        if head.lost {
            self.lost.push(head.path.display().to_string());
            return Ok(());
        }
        self.coming = Some((head, Vec::new()));
        self.finish(folder)
    }

    /// Handles a piece of it.
    pub fn piece(&mut self, piece: &[u8], folder: &Path) -> Result<()> {
        if let Some((_, content)) = &mut self.coming {
            content.extend_from_slice(piece);
        }
        self.finish(folder)
    }

    /// Moves a complete file into its place, if it has changed.
    fn finish(&mut self, folder: &Path) -> Result<()> {
        let complete = |it: &mut (Head, Vec<u8>)| it.1.len() as u64 >= it.0.size;
        let Some((head, content)) = self.coming.take_if(complete) else { return Ok(()) };
        let place = folder.join(&head.path);
        if fs::read(&place).is_ok_and(|there| there == content) {
            return Ok(());
        }
        put(&place, &content, head.mode)
            .with_context(|| format!("cannot write {}, which the guest gave", place.display()))?;
        self.back.push(head.path.display().to_string());
        Ok(())
    }

    /// The messages on it, in lines.
    pub fn said(&self) -> Vec<String> {
        let lines = [
            ("from the guest", &self.back),
            ("gone with the guest, for there is too much", &self.lost),
        ];
        let said = lines.into_iter().filter(|(_, files)| !files.is_empty());
        said.map(|(what, files)| format!("{what}: {}", shown(files))).collect()
    }
}

/// The first few names.
fn shown(files: &[String]) -> String {
    const SHOWN: usize = 5;
    let more = files.len().saturating_sub(SHOWN);
    let names = files[..files.len() - more].join(", ");
    if more == 0 { names } else { format!("{names} and {more} more") }
}

fn put(place: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let folder = place.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    file.persist(place).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(path: &str, size: u64, lost: bool) -> Vec<u8> {
        serde_json::to_vec(&Head { path: path.into(), mode: 0o640, size, lost }).unwrap()
    }

    #[test]
    fn a_file_comes_in_pieces_and_is_put_into_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let mut taken = Taken::default();
        taken.head(&head("a/report", 5, false), folder.path()).unwrap();
        taken.piece(b"he", folder.path()).unwrap();
        assert!(!folder.path().join("a").exists());
        taken.piece(b"llo", folder.path()).unwrap();
        taken.head(&head("empty", 0, false), folder.path()).unwrap();
        let place = folder.path().join("a/report");
        assert_eq!(fs::read(&place).unwrap(), b"hello");
        assert_eq!(place.metadata().unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(taken.said(), ["from the guest: a/report, empty"]);
    }

    #[test]
    fn what_is_the_same_is_left_alone_and_what_stays_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("same"), "x").unwrap();
        let mut taken = Taken::default();
        taken.head(&head("same", 1, false), folder.path()).unwrap();
        taken.piece(b"x", folder.path()).unwrap();
        taken.head(&head("big", 1 << 40, true), folder.path()).unwrap();
        assert_eq!(taken.said(), ["gone with the guest, for there is too much: big"]);
        assert!(taken.head(&head("../up", 0, false), folder.path()).is_err());
    }

    #[test]
    fn regular_files_are_found_in_all_folders() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("in")).unwrap();
        std::os::unix::fs::symlink("nowhere", folder.path().join("link")).unwrap();
        for name in ["b", "in/a"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let found = files_below(folder.path());
        assert_eq!(found, [folder.path().join("b"), folder.path().join("in/a")]);
    }
}
