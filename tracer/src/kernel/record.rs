//! A kernel's types and symbols, unchanged, in a file: the catalogue is tested on kernels that do not run
//! here, and so are its future questions.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};

use super::function_text::FunctionText;

/// Names of the parts of the file, a `tar` archive.
const RELEASE: &str = "release";
const TYPES: &str = "btf";
const SYMBOLS: &str = "kallsyms";
const TEXTS: &str = "callers.json";

/// More than any kernel has: a larger part is not read.
const MOST_BYTES: u64 = 1 << 28;

/// A recorded kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The release, as `uname -r` prints it.
    pub release: String,
    /// `/sys/kernel/btf/vmlinux`
    pub types: Vec<u8>,
    /// Lines of `/proc/kallsyms`: functions, except those of modules.
    pub symbols: String,
    /// The machine code of all functions that call a copy routine.
    pub texts: Vec<FunctionText>,
}

impl Record {
    /// Writes it, compressed.
    pub fn write(&self, out: impl Write) -> io::Result<()> {
        let mut archive = tar::Builder::new(GzEncoder::new(out, Compression::best()));
        let texts = serde_json::to_vec(&self.texts)?;
        let parts: [(&str, &[u8]); 4] = [
            (RELEASE, self.release.as_bytes()),
            (TYPES, &self.types),
            (SYMBOLS, self.symbols.as_bytes()),
            (TEXTS, &texts),
        ];
        for (name, content) in parts {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            archive.append_data(&mut header, name, content)?;
        }
        archive.into_inner()?.finish()?.flush()
    }

    /// Reads it.
    pub fn read(from: impl Read) -> io::Result<Self> {
        let mut parts = BTreeMap::new();
        let mut archive = tar::Archive::new(GzDecoder::new(from).take(MOST_BYTES));
        for part in archive.entries()? {
            let mut part = part?;
            let name = part.path()?.to_string_lossy().into_owned();
            let mut content = Vec::new();
            part.read_to_end(&mut content)?;
            parts.insert(name, content);
        }
        let mut part = |name: &str| {
            let missing = || io::Error::other(format!("this is no record of a kernel: no {name}"));
            parts.remove(name).ok_or_else(missing)
        };
        let text = |bytes| String::from_utf8(bytes).map_err(io::Error::other);
        Ok(Self {
            release: text(part(RELEASE)?)?,
            types: part(TYPES)?,
            symbols: text(part(SYMBOLS)?)?,
            texts: serde_json::from_slice(&part(TEXTS)?)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let text = FunctionText {
            caller: "f".to_owned(),
            symbol: "f.isra.0".to_owned(),
            address: 1 << 63,
            code: vec![0xc3],
        };
        let record = Record {
            release: "6.12".to_owned(),
            types: vec![0, 1, 2],
            symbols: "ffffffff81000000 T f\n".to_owned(),
            texts: vec![text],
        };
        let mut written = Vec::new();
        record.write(&mut written).unwrap();
        assert_eq!(Record::read(&*written).unwrap(), record);
        assert!(Record::read(&written[..40]).is_err() && Record::read(&b"{}"[..]).is_err());
    }
}
