//! The emulator: its command line and its process.

use std::io::{self, Seek as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use rustix::fs::{MemfdFlags, memfd_create};
use serde::{Deserialize, Serialize};

use crate::{command, signals};

/// Memory of a guest, in MiB.
const MEMORY: u32 = 2048;

/// The program, and what it needs to run from where it lies.
#[derive(Clone, Debug)]
pub struct Qemu {
    /// The program.
    pub program: PathBuf,
    /// The root it was unpacked in, if it is not installed.
    pub unpacked: Option<PathBuf>,
}

impl Qemu {
    /// A command that runs it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(root) = &self.unpacked {
            let folders = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
            let libraries = folders.map(|folder| root.join(folder).display().to_string());
            command.env("LD_LIBRARY_PATH", libraries.join(":"));
            for firmware in ["usr/share/qemu", "usr/share/seabios"] {
                command.arg("-L").arg(root.join(firmware));
            }
        }
        command
    }

    /// The first line of `--version`.
    pub fn version(&self) -> Result<String> {
        let text = command::stdout(self.command().arg("--version"))?;
        Ok(text.lines().next().unwrap_or_default().to_owned())
    }
}

/// The executor of the guest's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accelerator {
    /// The processor.
    Kvm,
    /// QEMU itself.
    Tcg,
}

impl Accelerator {
    fn options(self) -> [&'static str; 4] {
        match self {
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
            // One thread for all CPUs: with one each, a CPU may still run a breakpoint that another
            // has just replaced, as attaching a probe does, and the guest's kernel panics. And no AVX:
            // for some of its instructions (vfmadd213sd, vpsllw, …; vinsertf128 in QEMU 10), more is
            // read than the operand has, which ends a program where no more is mapped.
            Self::Tcg => ["-accel", "tcg,thread=single", "-cpu", "max,-avx,-avx2,-fma,-f16c"],
        }
    }
}

impl std::fmt::Display for Accelerator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Kvm => "KVM",
            Self::Tcg => "TCG",
        })
    }
}

/// A guest to be started.
pub struct Machine {
    program: PathBuf,
    arguments: Command,
    append: String,
    /// Descriptors that QEMU inherits.
    inherited: Vec<OwnedFd>,
    log: UnixStream,
}

impl Machine {
    /// A guest with a kernel, a first root, and a serial line for the kernel's log.
    pub fn new(
        qemu: &Qemu,
        accelerator: Accelerator,
        kernel: &Path,
        initramfs: &[u8],
    ) -> Result<Self> {
        let mut arguments = qemu.command();
        arguments
            .args(accelerator.options())
            .args(["-M", "pc", "-m", &MEMORY.to_string(), "-smp", "2", "-display", "none"])
            .args(["-nodefaults", "-no-user-config", "-no-reboot"])
            .arg("-kernel")
            .arg(kernel);
        let (log, theirs) = UnixStream::pair()?;
        let program = qemu.program.clone();
        let mut machine =
            Self { program, arguments, append: String::new(), inherited: Vec::new(), log };
        machine.append("console=ttyS0 quiet panic=-1 rdinit=/init ipv6.disable_ipv6=1");
        // On a busy machine the kernel might wait in vain for the timer's interrupts, and panic.
        machine.append("no_timer_check");
        let archive = machine.inherit(in_memory(initramfs)?);
        machine.arguments.arg("-initrd").arg(format!("/proc/self/fd/{archive}"));
        machine.channel("log", theirs);
        machine.arguments.args(["-serial", "chardev:log"]);
        Ok(machine)
    }

    /// Adds to the kernel's command line.
    pub fn append(&mut self, words: &str) {
        self.append.push(' ');
        self.append.push_str(words);
    }

    /// Adds a port that programs of this machine and of the guest can talk through.
    pub fn port(&mut self, name: &str, number: u32) -> Result<UnixStream> {
        if number == 1 {
            self.arguments.args(["-device", "virtio-serial-pci"]);
        }
        let (ours, theirs) = UnixStream::pair()?;
        self.channel(name, theirs);
        self.device(&format!("virtserialport,chardev={name},nr={number},name={name}"));
        Ok(ours)
    }

    /// Adds a disk; what is written to it is lost at the end.
    pub fn disk(&mut self, image: &Path) {
        let file = escaped(image);
        self.arguments
            .arg("-drive")
            .arg(format!("file={file},format=raw,if=none,id=disk,snapshot=on,cache=unsafe"));
        self.device("virtio-blk-pci,drive=disk");
    }

    /// Shares this machine's files, to be read only.
    pub fn share_root(&mut self) {
        self.arguments.args([
            "-virtfs",
            "local,path=/,mount_tag=hostroot,security_model=none,readonly=on,multidevs=remap",
        ]);
    }

    /// Adds two NICs of a model, connected to each other and to nothing else.
    pub fn nic_pair(&mut self, model: &str) {
        for id in ["nic0", "nic1"] {
            self.arguments.arg("-netdev").arg(format!("hubport,id={id},hubid=0"));
            self.device(&format!("{model},netdev={id},romfile="));
        }
    }

    /// Switches it on.
    pub fn start(mut self) -> Result<Running> {
        let inherited: Vec<_> = self.inherited.iter().map(OwnedFd::as_raw_fd).collect();
        self.arguments.arg("-append").arg(self.append.trim());
        self.arguments.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        // Away from the terminal's process group: Ctrl-C is for the command, not for QEMU.
        self.arguments.process_group(0);
        // SAFETY: the closure makes async-signal-safe calls only, on descriptors that stay open
        // until after the spawn.
        unsafe {
            self.arguments.pre_exec(move || {
                signals::release();
                for &descriptor in &inherited {
                    if libc::fcntl(descriptor, libc::F_SETFD, 0) == -1 {
                        return Err(io::Error::last_os_error());
                    }
                }
                if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) == -1 {
                    return Err(io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let mut child = spawn_for_good(self.arguments).with_context(|| {
            format!("cannot start {}; try `cargo xtask setup`", self.program.display())
        })?;
        let log = Log::default();
        log.follow(self.log);
        if let Some(stderr) = child.stderr.take() {
            log.follow(stderr);
        }
        Ok(Running { child: Arc::new(Mutex::new(child)), log })
    }

    fn device(&mut self, description: &str) {
        self.arguments.arg("-device").arg(description);
    }

    fn channel(&mut self, name: &str, stream: UnixStream) {
        let descriptor = self.inherit(stream.into());
        self.arguments.arg("-chardev").arg(format!("socket,id={name},fd={descriptor}"));
    }

    fn inherit(&mut self, descriptor: OwnedFd) -> i32 {
        let number = descriptor.as_raw_fd();
        self.inherited.push(descriptor);
        number
    }
}

/// A running emulator. It ends with this process at the latest, however that ends.
pub struct Running {
    child: Arc<Mutex<Child>>,
    /// The output of the kernel and of QEMU.
    pub log: Log,
}

impl Running {
    /// Switches it off; whoever talks to it sees the end of the stream.
    pub fn stop(&self) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        // It may have ended by itself: that is as good.
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Another handle to the same.
    pub fn handle(&self) -> Self {
        Self { child: Arc::clone(&self.child), log: self.log.clone() }
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        !matches!(child.try_wait(), Ok(None))
    }
}

/// The output of the kernel and of QEMU, kept for error messages.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// A kernel that repeats itself must not fill this machine's memory.
    const LIMIT: usize = 1 << 20;

    /// All of it.
    pub fn text(&self) -> String {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).replace('\r', "")
    }

    fn follow(&self, mut from: impl io::Read + Send + 'static) {
        let kept = Arc::clone(&self.0);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = from.read(&mut buffer) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                if kept.len() > Self::LIMIT {
                    kept.drain(..Self::LIMIT / 2);
                }
                kept.extend_from_slice(&buffer[..length]);
            }
        });
    }
}

/// Starts a process in a thread that never ends: the kernel takes the end of the thread that started
/// a process for its parent's death.
fn spawn_for_good(mut command: Command) -> io::Result<Child> {
    let (started, child) = channel();
    std::thread::spawn(move || {
        let _ = started.send(command.spawn());
        loop {
            std::thread::park();
        }
    });
    child.recv().map_err(io::Error::other)?
}

/// A file that needs no name and no cleaning up.
fn in_memory(content: &[u8]) -> Result<OwnedFd> {
    let descriptor = memfd_create("initramfs", MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(descriptor);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file.into())
}

/// QEMU's options are separated by commas: one in a path is doubled.
fn escaped(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}
