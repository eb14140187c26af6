//! Whether KVM works here. The device file may exist and boot nothing, so a kernel is booted with it; the
//! result is kept until this machine restarts.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::cache::{Cache, publish};
use crate::qemu::{Accelerator, Machine, Qemu};
use crate::say::{Step, note};

/// A kernel that boots under KVM takes about a second, and more beside a build.
const PATIENCE: Duration = Duration::from_secs(6);

/// The line of `guest-init.sh` in a guest that only boots.
const BOOTED: &str = "copytrace guest: booted";

#[derive(Serialize, Deserialize)]
struct Remembered {
    boot: String,
    qemu: String,
    accelerator: Accelerator,
}

/// The fastest accelerator that works.
pub fn choose(cache: &Cache, qemu: &Qemu, kernel: &Path, initramfs: &[u8]) -> Result<Accelerator> {
    let opened = std::fs::File::options().read(true).write(true).open("/dev/kvm");
    if opened.is_err() {
        return Ok(Accelerator::Tcg);
    }
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let version = qemu.version()?;
    if let Some(known) = recall(cache)
        && known.boot == boot
        && known.qemu == version
    {
        return Ok(known.accelerator);
    }
    let step = Step::start("trying whether KVM boots a guest");
    let accelerator =
        if boots(qemu, kernel, initramfs)? { Accelerator::Kvm } else { Accelerator::Tcg };
    step.done();
    note(match accelerator {
        Accelerator::Kvm => "KVM works",
        Accelerator::Tcg => "KVM does not boot a guest here: QEMU emulates the processor (TCG)",
    });
    remember(cache, &Remembered { boot, qemu: version, accelerator })?;
    Ok(accelerator)
}

fn boots(qemu: &Qemu, kernel: &Path, initramfs: &[u8]) -> Result<bool> {
    let mut machine = Machine::new(qemu, Accelerator::Kvm, kernel, initramfs)?;
    machine.append("ONLY_BOOT=1");
    let running = machine.start()?;
    let since = Instant::now();
    let mut booted = false;
    while since.elapsed() < PATIENCE && !booted {
        let ended = running.has_ended();
        booted = running.log.text().contains(BOOTED);
        if ended {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    running.stop();
    Ok(booted)
}

fn recall(cache: &Cache) -> Option<Remembered> {
    serde_json::from_slice(&std::fs::read(cache.accelerator()).ok()?).ok()
}

fn remember(cache: &Cache, known: &Remembered) -> Result<()> {
    let scratch = cache.scratch()?;
    let unfinished = scratch.path().join("accelerator");
    std::fs::write(&unfinished, serde_json::to_vec(known)?)?;
    publish(&unfinished, &cache.accelerator())
}
