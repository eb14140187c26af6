//! The machine code of the running kernel, from `/proc/kcore`.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// The kernel's memory as an ELF core file.
pub const KCORE: &str = "/proc/kcore";

/// The reason why the kernel's text could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// The file is missing, or lockdown or a missing capability forbids it.
    #[error("cannot read {}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The kernel's error.
        error: io::Error,
    },
    /// The file has no segment with this address.
    #[error("{KCORE} has no segment with the address {0:#x}")]
    Unmapped(u64),
}

/// An open `/proc/kcore`.
pub struct KernelText {
    file: File,
    path: PathBuf,
    segments: Vec<Segment>,
}

struct Segment {
    address: u64,
    size: u64,
    offset: u64,
}

const PT_LOAD: u32 = 1;
const PROGRAM_HEADER_SIZE: usize = 56;

impl KernelText {
    /// Opens that of the running kernel.
    pub fn open_running() -> Result<Self, TextError> {
        Self::open(Path::new(KCORE))
    }

    /// Opens a core file and reads its program headers.
    pub fn open(path: &Path) -> Result<Self, TextError> {
        let failed = |error| TextError::Io { path: path.to_owned(), error };
        let file = File::open(path).map_err(failed)?;
        let segments = segments(&file).map_err(failed)?;
        Ok(Self { file, path: path.to_owned(), segments })
    }

    /// Reads `size` bytes from a kernel address.
    pub fn read(&self, address: u64, size: usize) -> Result<Vec<u8>, TextError> {
        let segment = self
            .segments
            .iter()
            .find(|segment| {
                address.checked_sub(segment.address).is_some_and(|at| at < segment.size)
            })
            .ok_or(TextError::Unmapped(address))?;
        let mut bytes = vec![0; size];
        self.file
            .read_exact_at(&mut bytes, segment.offset + (address - segment.address))
            .map_err(|error| TextError::Io { path: self.path.clone(), error })?;
        Ok(bytes)
    }
}

/// The loadable segments of an ELF64 file.
fn segments(file: &File) -> io::Result<Vec<Segment>> {
    let mut header = [0; 64];
    file.read_exact_at(&mut header, 0)?;
    let table = u64_at(&header, 32);
    let count = usize::from(u16::from_le_bytes([header[56], header[57]]));
    let mut headers = vec![0; count * PROGRAM_HEADER_SIZE];
    file.read_exact_at(&mut headers, table)?;
    Ok(headers
        .chunks_exact(PROGRAM_HEADER_SIZE)
        .filter(|header| u64_at(header, 0) as u32 == PT_LOAD)
        .map(|header| Segment {
            offset: u64_at(header, 8),
            address: u64_at(header, 16),
            size: u64_at(header, 32),
        })
        .collect())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 8].iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn reads_by_address() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        let mut image = vec![0u8; 64 + PROGRAM_HEADER_SIZE];
        image[32] = 64; // program headers follow the header
        image[56] = 1; // one of them
        image[64] = 1; // loadable
        image[64 + 8] = 120; // at this offset in the file
        image[64 + 16..64 + 24].copy_from_slice(&0xffff_ffff_8100_0000u64.to_le_bytes());
        image[64 + 32] = 4; // bytes
        image.extend([1, 2, 3, 4]);
        file.write_all(&image).unwrap();
        let text = KernelText::open(file.path()).unwrap();
        assert_eq!(text.read(0xffff_ffff_8100_0001, 2).unwrap(), [2, 3]);
        assert!(matches!(text.read(0xffff_ffff_8100_0004, 1), Err(TextError::Unmapped(_))));
    }

    #[test]
    fn a_missing_file_is_named() {
        let Err(error) = KernelText::open(Path::new("/nowhere/kcore")) else { panic!("no error") };
        assert!(error.to_string().contains("/nowhere/kcore"));
    }
}
