//! Messages of the kernel during a check, such as that a program crashed, and where.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;

/// Longer than a record; the kernel refuses to read into a shorter buffer.
const RECORD: usize = 8192;

/// The number of last records shown.
const TOLD: usize = 20;

/// The kernel's log from some moment on. It also has the messages that others on the machine cause.
pub struct KernelLog(Option<File>);

impl KernelLog {
    /// From now on; nothing where the log cannot be read.
    pub fn from_now() -> Self {
        let open = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg");
        Self(open.and_then(|mut log| log.seek(SeekFrom::End(0)).map(|_| log)).ok())
    }

    /// The last messages until now, for the end of an error; empty if there were none.
    pub fn said(self) -> String {
        let said: Vec<_> = self.records().collect();
        let last = &said[said.len().saturating_sub(TOLD)..];
        match last {
            [] => String::new(),
            last => format!("\nmeanwhile the kernel said:\n{}", last.join("\n")),
        }
    }

    fn records(self) -> impl Iterator<Item = String> {
        let (mut log, mut record) = (self.0, [0; RECORD]);
        std::iter::from_fn(move || {
            loop {
                match log.as_mut()?.read(&mut record) {
                    Ok(length) => {
                        return Some(message(&String::from_utf8_lossy(&record[..length])));
                    }
                    // Some were overwritten before they were read: the next read succeeds.
                    Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
                    // There is no message yet.
                    Err(_) => return None,
                }
            }
        })
    }
}

/// The message of a record, `prefix;message\n`, which dictionary lines may follow.
fn message(record: &str) -> String {
    let line = record.lines().next().unwrap_or_default();
    line.split_once(';').map_or(line, |(_, message)| message).to_owned()
}

#[cfg(test)]
mod tests {
    use super::message;

    #[test]
    fn a_record_has_a_prefix_and_a_dictionary() {
        let record = "6,339,5140900,-;NET: Registered; PF_INET6\n SUBSYSTEM=net\n";
        assert_eq!(message(record), "NET: Registered; PF_INET6");
        assert_eq!(message(""), "");
    }
}
