//! A log: records one after the other in a segment file, on disk before anybody relies on them.
//!
//! Writers append under a lock, and then wait until what they wrote is on disk: one of those that
//! wait calls `fdatasync` for all (group commit).

use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, BufReader, Read, Write},
    ops::Range,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::{fs::FlockOperation, io::Errno};

use super::record::{Flaw, HEADER, Header, Record};
use crate::{Error, Result};

/// The first bytes of a log file: another program's file is not mistaken for a torn log.
const MAGIC: [u8; 8] = *b"ctlog\0\0\x01";
/// Offset of the first record. No record is at 0, so 0 can mean none.
pub const FIRST: u64 = MAGIC.len() as u64;
/// Bytes of the longest log: the size of the address range reserved to map it.
pub const LONGEST: u64 = 64 << 30;

/// A log that one process has open.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    state: Mutex<State>,
    /// Signals a change of the state on disk.
    synced: Condvar,
    /// A copy of [`State::durable`] for readers that must not wait.
    durable: AtomicU64,
}

#[derive(Debug)]
struct State {
    /// The offset of each record.
    starts: Vec<u64>,
    /// The offset of the next record.
    end: u64,
    /// The end of the part that is on disk.
    durable: u64,
    /// Whether a thread is calling `fdatasync`.
    syncing: bool,
    /// The number of calls to `fdatasync`.
    syncs: u64,
    /// Bytes of the longest record.
    longest: usize,
    /// Why nothing can be appended any more.
    broken: Option<String>,
}

/// The end of a log that was cut off at start-up: a record that was being written when the broker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The log.
    pub path: PathBuf,
    /// The end of its intact part.
    pub at: u64,
    /// Bytes that were cut off.
    pub bytes: u64,
    /// The flaw of its first record.
    pub flaw: Flaw,
}

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: cut off {} bytes of a torn record at offset {} ({}): it was never acknowledged",
            self.path.display(),
            self.bytes,
            self.at,
            self.flaw
        )
    }
}

impl Log {
    /// Opens the log, or makes a new one, passes every record to `each`, and cuts off a torn end.
    pub fn open(
        path: &Path,
        mut each: impl FnMut(&Record<'_>) -> Result<()>,
    ) -> Result<(Self, Option<Torn>)> {
        let file = open(path)?;
        lock(&file, path)?;
        let failed = || format!("read the log {}", path.display());
        let length = file.metadata().map_err(Error::os(failed()))?.len();
        let mut scan = Scan::new(&file, length).map_err(Error::os(failed()))?;
        let magic = scan.magic().map_err(Error::os(failed()))?;
        if !MAGIC.starts_with(&magic) {
            return Err(Error::NotALog { path: path.to_owned() });
        }
        // A new log, or one whose broker was killed while making the file.
        if length < FIRST {
            start(&file, path)?;
        }
        let (mut starts, mut longest) = (Vec::new(), 0);
        let flaw = loop {
            match scan.next().map_err(Error::os(failed()))? {
                Some(Ok(record)) => {
                    starts.push(record.offset);
                    longest = longest.max(record.length());
                    each(&record)?;
                }
                Some(Err(flaw)) => break Some(flaw),
                None => break None,
            }
        };
        let end = scan.at;
        let torn =
            flaw.map(|flaw| Torn { path: path.to_owned(), at: end, bytes: length - end, flaw });
        if let Some(torn) = &torn {
            if scan.continues_after_flaw().map_err(Error::os(failed()))? {
                return Err(Error::DamagedLog {
                    path: path.to_owned(),
                    at: end,
                    flaw: torn.flaw.to_string(),
                });
            }
            let tried = format!("cut off the torn end of {}", path.display());
            file.set_len(end).map_err(Error::os(tried))?;
        }
        // Records that a killed broker had written, but not yet flushed, were relied upon above.
        file.sync_all().map_err(Error::os(format!("flush {}", path.display())))?;
        let state =
            State { starts, end, durable: end, syncing: false, longest, syncs: 0, broken: None };
        let log = Self {
            path: path.to_owned(),
            file,
            state: Mutex::new(state),
            synced: Condvar::new(),
            durable: AtomicU64::new(end),
        };
        Ok((log, torn))
    }

    /// Writes a record at the end and returns its range. It is on disk only after [`Log::persist`].
    pub fn append(&self, record: &Record<'_>) -> Result<Range<u64>> {
        let mut state = self.lock();
        self.check(&state)?;
        let offset = state.end;
        let mut bytes = Vec::new();
        Record { offset, ..*record }.encode(&mut bytes);
        let end = offset + bytes.len() as u64;
        if end > LONGEST {
            return Err(Error::LogFull { path: self.path.clone() });
        }
        if let Err(cause) = self.file.write_all_at(&bytes, offset) {
            // A part of the record may be in the file: the next record takes its place.
            if let Err(worse) = self.file.set_len(offset) {
                state.broken = Some(worse.to_string());
            }
            let tried = format!("append to the log {}", self.path.display());
            return Err(Error::os_advice(tried, "make room on its disk")(cause));
        }
        state.starts.push(offset);
        state.end = end;
        state.longest = state.longest.max(bytes.len());
        Ok(offset..end)
    }

    /// Waits until everything before `until` is on disk; flushes it if no other thread does.
    pub fn persist(&self, until: u64) -> Result<()> {
        let mut state = self.lock();
        loop {
            if state.durable >= until {
                return Ok(());
            }
            self.check(&state)?;
            if state.syncing {
                state = self.synced.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.syncing = true;
            let written = state.end;
            drop(state);
            let result = rustix::fs::fdatasync(&self.file);
            state = self.lock();
            state.syncing = false;
            state.syncs += 1;
            match result {
                Ok(()) => {
                    state.durable = written;
                    self.durable.store(written, Ordering::Release);
                }
                // The kernel may have dropped the pages that it could not write: a second call would
                // prove nothing.
                Err(error) => state.broken = Some(io::Error::from(error).to_string()),
            }
            self.synced.notify_all();
        }
    }

    /// Appends a record and waits until it is on disk; returns its offset.
    pub fn store(&self, record: &Record<'_>) -> Result<u64> {
        let range = self.append(record)?;
        self.persist(range.end)?;
        Ok(range.start)
    }

    /// The end of the part that is on disk and will not change.
    pub fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// Waits up to `limit` until there is something on disk from `offset` on.
    pub fn wait_beyond(&self, offset: u64, limit: Duration) {
        let deadline = Instant::now() + limit;
        let mut state = self.lock();
        while state.durable <= offset {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.synced.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Puts the offsets of the records on disk from `offset` on, at most `most`, into `bounds`, and after
    /// them the end of the last one.
    pub fn bounds(&self, offset: u64, most: usize, bounds: &mut Vec<u64>) {
        let state = self.lock();
        let first = state.starts.partition_point(|start| *start < offset);
        let last = state.starts.partition_point(|start| *start < state.durable);
        let chosen = first.min(last)..last.min(first.saturating_add(most));
        bounds.clear();
        bounds.extend_from_slice(&state.starts[chosen.clone()]);
        let next = state.starts.get(chosen.end).copied();
        bounds.push(next.unwrap_or(state.end).min(state.durable));
    }

    /// Bytes of the longest record.
    pub fn longest(&self) -> usize {
        self.lock().longest
    }

    /// The number of calls to `fdatasync`.
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    /// The segment file.
    pub fn file(&self) -> &File {
        &self.file
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, state: &State) -> Result<()> {
        match &state.broken {
            Some(why) => Err(Error::BrokenLog { path: self.path.clone(), why: why.clone() }),
            None => Ok(()),
        }
    }
}

fn open(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map_err(Error::os_advice(
        format!("open the log {}", path.display()),
        "choose another directory",
    ))
}

/// The kernel releases the lock when the process ends, however it ends.
fn lock(file: &File, path: &Path) -> Result<()> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Err(Error::LogInUse { path: path.to_owned() }),
        result => result.map_err(Error::os(format!("lock the log {}", path.display()))),
    }
}

/// Makes a log of an empty file, and flushes its name to disk.
fn start(file: &File, path: &Path) -> Result<()> {
    let write = || {
        file.set_len(0)?;
        file.write_all_at(&MAGIC, 0)?;
        file.sync_all()?;
        match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    };
    write().map_err(Error::os(format!("start the log {}", path.display())))
}

/// Reads a log from its beginning.
struct Scan<'a> {
    reader: BufReader<io::Take<&'a File>>,
    /// The current record, or the one with a flaw.
    record: Vec<u8>,
    at: u64,
}

impl<'a> Scan<'a> {
    fn new(mut file: &'a File, length: u64) -> io::Result<Self> {
        io::Seek::rewind(&mut file)?;
        let reader = BufReader::with_capacity(1 << 20, file.take(length));
        Ok(Self { reader, record: Vec::new(), at: FIRST })
    }

    /// The bytes in place of the magic number, as many as there are.
    fn magic(&mut self) -> io::Result<Vec<u8>> {
        self.take(MAGIC.len())?;
        Ok(std::mem::take(&mut self.record))
    }

    /// The next record, or its flaw; none at the end.
    fn next(&mut self) -> io::Result<Option<Result<Record<'_>, Flaw>>> {
        self.record.clear();
        self.take(HEADER)?;
        if self.record.is_empty() {
            return Ok(None);
        }
        let header = match Header::read(&self.record) {
            Ok(header) => header,
            Err(flaw) => return Ok(Some(Err(flaw))),
        };
        self.take(header.length - HEADER)?;
        let record = match Record::decode(&self.record) {
            // Data that an older file left on the same blocks has another offset.
            Ok(record) if record.offset != self.at => Err(Flaw::Checksum),
            record => record,
        };
        if record.is_ok() {
            self.at += header.length as u64;
        }
        Ok(Some(record))
    }

    /// Whether an intact record follows the one with a flaw: then the log is not torn, but damaged, and
    /// the later records may have been acknowledged.
    fn continues_after_flaw(&mut self) -> io::Result<bool> {
        self.at += self.record.len() as u64;
        Ok(matches!(self.next()?, Some(Ok(_))))
    }

    /// Reads up to `bytes` more bytes.
    fn take(&mut self, bytes: usize) -> io::Result<()> {
        self.reader.by_ref().take(bytes as u64).read_to_end(&mut self.record).map(drop)
    }
}

/// Appends a torn record to a closed log, as a broker that is killed during a write leaves it: for tests,
/// and to show the repair at start-up.
pub fn tear(path: &Path) -> Result<()> {
    let mut bytes = Vec::new();
    Record::message("torn", &[0x55; 1000]).encode(&mut bytes);
    let file = OpenOptions::new().append(true).open(path);
    file.and_then(|mut file| file.write_all(&bytes[..bytes.len() / 2]))
        .map_err(Error::os(format!("append to {}", path.display())))
}

#[cfg(test)]
mod tests {
    use std::{sync::Barrier, thread};

    use proptest::prelude::*;

    use super::*;

    fn bodies(path: &Path) -> (Vec<Vec<u8>>, Option<Torn>) {
        let mut bodies = Vec::new();
        let (_, torn) = Log::open(path, |record| {
            bodies.push(record.body.to_vec());
            Ok(())
        })
        .unwrap();
        (bodies, torn)
    }

    fn written(path: &Path, bodies: &[Vec<u8>]) -> Vec<u64> {
        let (log, _) = Log::open(path, |_| Ok(())).unwrap();
        bodies.iter().map(|body| log.store(&Record::message("t", body)).unwrap()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn wherever_the_end_is_torn_the_whole_records_stay(
            contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..8),
            cut: prop::sample::Index,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("log");
            let offsets = written(&path, &contents);
            let length = std::fs::metadata(&path).unwrap().len();
            let left = FIRST + cut.index((length - FIRST + 1) as usize) as u64;
            OpenOptions::new().write(true).open(&path).unwrap().set_len(left).unwrap();

            let (found, torn) = bodies(&path);
            let ends = offsets.iter().skip(1).copied().chain([length]);
            let whole = ends.filter(|end| *end <= left).count();
            prop_assert_eq!(&found[..], &contents[..whole]);
            let at = offsets.get(whole).copied().unwrap_or(length);
            prop_assert_eq!(torn.as_ref().map(|torn| torn.bytes), (at < left).then(|| left - at));
            prop_assert_eq!(std::fs::metadata(&path).unwrap().len(), at);
            prop_assert_eq!(bodies(&path), (found, None));
        }
    }

    #[test]
    fn what_is_appended_after_a_torn_record_takes_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        written(&path, &[b"one".to_vec()]);
        tear(&path).unwrap();
        let (_, torn) = bodies(&path);
        let said = torn.unwrap().to_string();
        assert!(said.contains("cut off") && said.contains("never acknowledged"), "{said}");
        written(&path, &[b"two".to_vec()]);
        assert_eq!(bodies(&path), (vec![b"one".to_vec(), b"two".to_vec()], None));
    }

    #[test]
    fn damage_before_the_end_is_not_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let offsets = written(&path, &[b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(b"X", offsets[1] + HEADER as u64 + 1).unwrap();
        let error = Log::open(&path, |_| Ok(())).unwrap_err().to_string();
        assert!(error.contains("intact") && error.contains(&offsets[1].to_string()), "{error}");
    }

    #[test]
    fn a_file_of_somebody_else_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        for content in ["a letter to my mother", "short"] {
            std::fs::write(&path, content).unwrap();
            let error = Log::open(&path, |_| Ok(())).unwrap_err().to_string();
            assert!(error.contains("is no log"), "{error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
    }

    #[test]
    fn two_brokers_do_not_share_a_log() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let _first = Log::open(&path, |_| Ok(())).unwrap();
        let error = Log::open(&path, |_| Ok(())).unwrap_err().to_string();
        assert!(error.contains("another broker"), "{error}");
    }

    #[test]
    fn writers_share_a_flush_and_their_records_stay_whole() {
        const WRITERS: usize = 8;
        const EACH: usize = 40;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let (log, _) = Log::open(&path, |_| Ok(())).unwrap();
        let start = Barrier::new(WRITERS);
        thread::scope(|scope| {
            for writer in 0..WRITERS {
                let (log, start) = (&log, &start);
                scope.spawn(move || {
                    start.wait();
                    for _ in 0..EACH {
                        let offset = log.store(&Record::message("", &[writer as u8; 99])).unwrap();
                        assert!(log.durable() > offset);
                    }
                });
            }
        });
        let syncs = log.syncs();
        assert!(syncs <= (WRITERS * EACH) as u64, "{syncs}");
        drop(log);
        let (found, torn) = bodies(&path);
        assert_eq!((found.len(), torn), (WRITERS * EACH, None));
        for writer in 0..WRITERS {
            let of_writer = found.iter().filter(|body| **body == [writer as u8; 99]).count();
            assert_eq!(of_writer, EACH);
        }
    }

    #[test]
    fn bounds_are_of_whole_records_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let (log, _) = Log::open(&path, |_| Ok(())).unwrap();
        let bounds = |offset, most| {
            let mut bounds = Vec::new();
            log.bounds(offset, most, &mut bounds);
            bounds
        };
        assert_eq!(bounds(0, 9), [FIRST]);
        let one = log.append(&Record::message("", b"one")).unwrap();
        assert_eq!(bounds(0, 9), [FIRST], "it is not on disk yet");
        log.persist(one.end).unwrap();
        let two = log.store(&Record::message("", b"two")).unwrap();
        assert_eq!(bounds(0, 9), [one.start, two, log.durable()]);
        assert_eq!(bounds(0, 1), [one.start, two]);
        assert_eq!(bounds(one.start + 1, 9), [two, log.durable()]);
        assert_eq!(bounds(log.durable(), 9), [log.durable()]);
    }
}
