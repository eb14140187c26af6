//! Builds the eBPF programs and puts the object where `include_bytes_aligned!` finds it.

use anyhow::Context as _;
use aya_build::{Package, Toolchain};

/// A rustup toolchain's name, or the prefix of an installed one (`/usr`). `cargo xtask` sets it.
const TOOLCHAIN: &str = "COPYTRACE_BPF_TOOLCHAIN";

fn main() -> anyhow::Result<()> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../tracer-ebpf");
    println!("cargo:rerun-if-env-changed={TOOLCHAIN}");
    println!("cargo:rerun-if-changed={}", concat!(env!("CARGO_MANIFEST_DIR"), "/../tracer-common"));
    let toolchain = std::env::var(TOOLCHAIN).ok();
    if toolchain.as_deref().is_some_and(|name| name.starts_with('/')) {
        // A distribution's rustc is a stable one, and building `core` for BPF is still unstable.
        // SAFETY: no other thread runs in this program.
        unsafe { std::env::set_var("RUSTC_BOOTSTRAP", "1") };
    }
    let toolchain = toolchain.as_deref().map_or_else(Toolchain::default, Toolchain::Custom);
    let package = Package { name: "tracer-ebpf", root_dir: root, ..Package::default() };
    aya_build::build_ebpf([package], toolchain).with_context(|| {
        format!(
            "could not build the eBPF programs; `cargo xtask build` finds or installs the BPF \
             toolchain, or set {TOOLCHAIN} to a toolchain that has the BPF core library"
        )
    })
}
