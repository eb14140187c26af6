//! The guest's first root: busybox, the modules it needs, and the script that prepares the rest.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::cpio::Archive;
use crate::modules::Modules;

const INIT: &str = include_str!("guest-init.sh");

/// Modules for every guest, whatever its NIC: a disk, ports, and this machine's files.
const ALWAYS: [&str; 8] = [
    "virtio_pci",
    "virtio_console",
    "virtio_blk",
    "crc32c_generic",
    "ext4",
    "9pnet_virtio",
    "9p",
    "overlay",
];

/// The busybox programs that the script uses.
const APPLETS: [&str; 17] = [
    "sh", "mount", "mkdir", "cat", "insmod", "ip", "chroot", "sleep", "ln", "ping", "unshare",
    "touch", "poweroff", "hostname", "usleep", "chmod", "grep",
];

/// Builds the archive.
pub fn build(busybox: &Path, modules: &Modules, more: &[&str]) -> Result<Vec<u8>> {
    let shell = std::fs::read(busybox)
        .with_context(|| format!("cannot read busybox at {}", busybox.display()))?;
    let mut archive = Archive::default();
    for folder in ["bin", "dev", "proc", "sys", "modules", "lower", "scratch", "host"] {
        archive.folder(folder);
    }
    archive.file("bin/busybox", &shell);
    for applet in APPLETS {
        archive.link(&format!("bin/{applet}"), "busybox");
    }
    // The NIC first: its link comes up while the rest is being prepared.
    let wanted: Vec<_> = more.iter().chain(&ALWAYS).copied().collect();
    let order = modules.load_order(&wanted)?;
    for (name, module) in &order {
        archive.file(&format!("modules/{name}.ko"), module);
    }
    let names: Vec<_> = order.iter().map(|(name, _)| name.as_str()).collect();
    archive.file("modules/order", names.join("\n").as_bytes());
    archive.file("init", INIT.as_bytes());
    Ok(archive.finish())
}
