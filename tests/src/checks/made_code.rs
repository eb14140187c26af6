//! Stacks of machine code that is in no file: whose names for it are trusted.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use rustix::fs::{CWD, FileType, Mode};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use crate::check::{Check, Context};
use crate::support::traced::{folder_with_file, signal};

/// The content of `/tmp/perf-PID.map`, and its owner.
pub const CHECKS: [Check; 1] =
    [Check { name: "stacks: a perf map of the program’s own user", run: perf_maps }];

/// Another user than this one.
const STRANGER: u32 = 65534;

/// `xor eax, eax; syscall; ret`: the system call `read`, with the caller's arguments.
const READ: [u8; 5] = [0x31, 0xc0, 0x0f, 0x05, 0xc3];

type Read = extern "sysv64" fn(i32, *mut u8, usize) -> isize;

/// A function generated while this program runs, in a page of its own.
struct Made {
    page: *mut std::ffi::c_void,
}

const PAGE: usize = 4096;

impl Made {
    fn new() -> Result<Self> {
        let all = ProtFlags::READ | ProtFlags::WRITE | ProtFlags::EXEC;
        // SAFETY: a new mapping, which nothing else knows, and of which the function is a part.
        let page = unsafe {
            let page = mmap_anonymous(std::ptr::null_mut(), PAGE, all, MapFlags::PRIVATE)?;
            std::ptr::copy_nonoverlapping(READ.as_ptr(), page.cast(), READ.len());
            page
        };
        Ok(Self { page })
    }

    fn read(&self, file: &File) -> usize {
        let mut buffer = [0; PAGE];
        // SAFETY: the page has this function, which writes to the buffer what fits.
        let read = unsafe {
            let read: Read = std::mem::transmute(self.page);
            read(file.as_raw_fd(), buffer.as_mut_ptr(), buffer.len())
        };
        usize::try_from(read).unwrap_or(0)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // SAFETY: nobody runs the function any more. If it fails, the page stays until the end.
        let _ = unsafe { munmap(self.page, PAGE) };
    }
}

/// The names of functions on the stacks of reads by a generated function, after `put` has made the map.
fn names(context: &Context, put: impl Fn(&Path, &str) -> Result<()>) -> Result<String> {
    let (folder, file) = folder_with_file()?;
    let report = folder.path().join("report");
    let made = Made::new()?;
    let pid = std::process::id();
    let map = PathBuf::from(format!("/tmp/perf-{pid}.map"));
    put(&map, &format!("{:x} {PAGE:x} made_by_a_compiler\n", made.page.addr()))?;
    let traced = || -> Result<String> {
        let mut attach = context.attached(&["--stacks"], &report, pid)?;
        let file = File::open(&file)?;
        while made.read(&file) > 0 {}
        signal(&attach, libc::SIGINT)?;
        let status = attach.wait()?;
        ensure!(status.success(), "attach ended with {status}");
        std::fs::read_to_string(&report).context("no report")
    };
    let text = traced();
    std::fs::remove_file(&map)?;
    text
}

fn perf_maps(context: &Context) -> Result<()> {
    const NAME: &str = "made_by_a_compiler";
    let own = names(context, |map, text| Ok(std::fs::write(map, text)?))?;
    ensure!(own.contains(NAME), "the program’s own map was not read");
    let strangers = names(context, |map, text| {
        std::fs::write(map, text)?;
        Ok(std::os::unix::fs::chown(map, Some(STRANGER), None)?)
    })?;
    ensure!(!strangers.contains(NAME), "a stranger’s map was believed");
    ensure!(strangers.contains("[unknown]"), "there was no stack to be named");
    let pipe = names(context, |map, _| {
        Ok(rustix::fs::mknodat(CWD, map, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?)
    })?;
    ensure!(pipe.contains("[unknown]"), "there was no stack to be named");
    Ok(())
}
