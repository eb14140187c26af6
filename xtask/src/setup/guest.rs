//! The parts of guests: QEMU, busybox, kernels, a disk.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::foreign;
use crate::cache::{Cache, publish};
use crate::consent::Consent;
use crate::kernel_version::KernelVersion;
use crate::packages::{Apt, RELEASES, ensure_program, newest};
use crate::qemu::Qemu;
use crate::say::{Step, note};
use crate::{command, kernel_image};

/// The size of the guest's disk; what is not written takes no room.
const DISK_BYTES: u64 = 2 << 30;

/// The programs that guests are made of.
pub struct Tools {
    /// The emulator.
    pub qemu: Qemu,
    /// The shell of the first root, linked statically.
    pub busybox: PathBuf,
    /// An empty ext4 file system.
    pub disk: PathBuf,
}

/// A kernel for guests.
pub struct Kernel {
    /// As `uname -r` has it.
    pub release: String,
    /// The plain kernel.
    pub image: PathBuf,
    /// The tree of its modules.
    pub modules: PathBuf,
    /// Where decompressed modules are kept.
    pub plain_modules: PathBuf,
}

/// Finds or fetches the programs.
pub fn tools(cache: &Cache, consent: Consent) -> Result<Tools> {
    if !cfg!(target_arch = "x86_64") {
        bail!("guests are x86-64 machines, which this is not: use `cargo xtask run --on host`");
    }
    Ok(Tools {
        qemu: qemu(cache, consent)?,
        busybox: packaged(cache, consent, "busybox-static", "bin/busybox")?,
        disk: disk(cache, consent)?,
    })
}

fn qemu(cache: &Cache, consent: Consent) -> Result<Qemu> {
    const PROGRAM: &str = "qemu-system-x86_64";
    if let Some(program) = command::find(PROGRAM) {
        return Ok(Qemu { program, unpacked: None });
    }
    let root = cache.packages("qemu");
    let qemu = Qemu { program: root.join("usr/bin").join(PROGRAM), unpacked: Some(root.clone()) };
    if !command::is_executable(&qemu.program) {
        consent.ask("QEMU")?;
        fetch(cache, "qemu-system-x86", &root)
            .context("QEMU is missing; install qemu-system-x86_64 so that it is on PATH")?;
        qemu.version().context("the unpacked QEMU does not run; install qemu-system-x86_64")?;
    }
    Ok(qemu)
}

/// Where nginx is unpacked, laid out like a root folder.
pub fn nginx(cache: &Cache) -> PathBuf {
    cache.packages("nginx")
}

/// Finds or fetches the programs of others that the tests trace: a server, unpacked and not
/// installed, and what asks it for a file.
pub fn programs_for_tests(cache: &Cache, consent: Consent) -> Result<()> {
    ensure_program("curl", "curl", consent)?;
    ensure_program("openssl", "openssl", consent)?;
    let root = nginx(cache);
    if !command::is_executable(&root.join("usr/sbin/nginx")) {
        consent.ask("nginx")?;
        fetch(cache, "nginx", &root).context("nginx is needed for the tests")?;
    }
    for program in &foreign::ALL {
        if let Err(error) = program.ensure(cache, consent) {
            note(&format!("the checks of a program will be skipped: {error:#}"));
        }
    }
    Ok(())
}

/// A program of a package that is unpacked into the cache.
fn packaged(cache: &Cache, consent: Consent, package: &str, program: &str) -> Result<PathBuf> {
    let root = cache.packages(package);
    let file = root.join(program);
    if !command::is_executable(&file) {
        consent.ask(package)?;
        let step = Step::start(format!("fetching {package}"));
        Apt::ready()
            .and_then(|apt| apt.unpack(&[package.to_owned()], cache, &root))
            .with_context(|| format!("the package {package} is needed for guests"))?;
        step.done();
    }
    Ok(file)
}

/// Unpacks a package and what it depends on that is not installed.
pub fn fetch(cache: &Cache, package: &str, place: &Path) -> Result<()> {
    let step = Step::start(format!("fetching {package} and what it depends on"));
    let apt = Apt::ready()?;
    apt.unpack(&apt.with_dependencies(package)?, cache, place)?;
    step.done();
    Ok(())
}

fn disk(cache: &Cache, consent: Consent) -> Result<PathBuf> {
    let disk = cache.disk();
    if !disk.exists() {
        consent.ask("the guest’s disk")?;
        let scratch = cache.scratch()?;
        let unfinished = scratch.path().join("disk");
        std::fs::File::create(&unfinished)?.set_len(DISK_BYTES)?;
        let program = ensure_program("mkfs.ext4", "e2fsprogs", consent)?;
        command::run(
            Command::new(program)
                .args(["-q", "-F", "-E"])
                .arg("lazy_itable_init=0,lazy_journal_init=0,nodiscard")
                .arg(&unfinished),
        )?;
        publish(&unfinished, &disk)?;
    }
    Ok(disk)
}

/// Finds or fetches a kernel.
pub fn kernel(cache: &Cache, version: KernelVersion, consent: Consent) -> Result<Kernel> {
    let place = cache.kernel(version);
    if !place.exists() {
        consent.ask(&format!("the guest’s kernel {version}"))?;
        // Modules are compressed with one, kernels with either.
        ensure_program("xz", "xz-utils", consent)?;
        ensure_program("zstd", "zstd", consent)?;
        let step = Step::start(format!("fetching the kernel {version} for guests"));
        fetch_kernel(cache, version, &place)
            .with_context(|| format!("there is no kernel {version} for guests"))?;
        step.done();
    }
    let release = std::fs::read_to_string(place.join("release"))
        .with_context(|| format!("cannot read {}", place.display()))?;
    Ok(Kernel {
        image: place.join("vmlinux"),
        modules: place.join("modules"),
        plain_modules: place.join("plain-modules"),
        release,
    })
}

fn fetch_kernel(cache: &Cache, version: KernelVersion, place: &Path) -> Result<()> {
    let (apt, package) = kernel_package(cache, version)?;
    let scratch = cache.scratch()?;
    let unpacked = scratch.path().join("unpacked");
    let release = package.trim_start_matches("linux-image-");
    apt.unpack(&parts(&apt, release), cache, &unpacked)?;
    let modules = modules_of(&unpacked, release)?;
    let image = image_of(&unpacked, &modules, release)?;
    let result = scratch.path().join("result");
    std::fs::create_dir(&result)?;
    std::fs::write(result.join("vmlinux"), kernel_image::extract(&image)?)?;
    std::fs::rename(modules, result.join("modules"))?;
    std::fs::write(result.join("release"), release)?;
    publish(&result, place)
}

/// The package of a kernel: from this machine's own sources, else from those of Debian's releases. The
/// newest is not among the former.
fn kernel_package(cache: &Cache, version: KernelVersion) -> Result<(Apt, String)> {
    if version != KernelVersion::Newest {
        let apt = Apt::ready()?;
        if let Some(package) = plain_kernel(&apt, version)? {
            return Ok((apt, package));
        }
    }
    for release in RELEASES {
        let apt = Apt::of_release(release, cache)
            .with_context(|| format!("Debian’s release {release} is no source of kernels here"))?;
        if let Some(package) = plain_kernel(&apt, version)? {
            return Ok((apt, package));
        }
    }
    bail!(
        "neither this machine’s package sources nor Debian’s releases ({}) have a package \
         linux-image-{version}.*-amd64: choose another with --kernel",
        RELEASES.join(", ")
    )
}

fn plain_kernel(apt: &Apt, version: KernelVersion) -> Result<Option<String>> {
    let is_plain = |name: &String| !["cloud", "rt-", "dbg"].iter().any(|part| name.contains(part));
    Ok(newest(apt.matching(&version.pattern())?.into_iter().filter(is_plain)))
}

/// The packages that a kernel is in: all in one, or the modules in another.
fn parts(apt: &Apt, release: &str) -> Vec<String> {
    let names = ["image", "binary", "modules"].map(|part| format!("linux-{part}-{release}"));
    names.into_iter().filter(|name| apt.offers(name)).collect()
}

/// The compressed kernel. In packages for the newest kernels it lies beside the modules.
fn image_of(unpacked: &Path, modules: &Path, release: &str) -> Result<Vec<u8>> {
    let places =
        [unpacked.join("boot").join(format!("vmlinuz-{release}")), modules.join("vmlinuz")];
    let found = places.iter().find_map(|place| std::fs::read(place).ok());
    found.with_context(|| format!("the package of {release} has no kernel"))
}

fn modules_of(unpacked: &Path, release: &str) -> Result<PathBuf> {
    ["lib/modules", "usr/lib/modules"]
        .map(|folder| unpacked.join(folder).join(release))
        .into_iter()
        .find(|folder| folder.is_dir())
        .with_context(|| format!("the package of {release} has no modules"))
}
