//! The project’s own tool, run as `cargo xtask`: set-up, build, run, test, guests.

pub mod accelerator;
pub mod build_step;
pub mod cache;
pub mod cargo;
pub mod check;
pub mod command;
pub mod consent;
pub mod cpio;
pub mod ebpf;
pub mod guest;
pub mod initramfs;
pub mod kernel_image;
pub mod kernel_version;
pub mod modules;
pub mod packages;
pub mod qemu;
pub mod result_file;
pub mod run;
pub mod say;
pub mod setup;
pub mod signals;
pub mod terminal;
pub mod test;
pub mod tier;
pub mod vm;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

pub use kernel_version::KernelVersion;

/// copytrace's own tool: set-up, build, run, test, guests.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Find or install everything the other verbs need; safe to repeat
    Setup(setup::Arguments),
    /// Build the programs, with the eBPF programs inside
    Build(build_step::Arguments),
    /// Measure: `copytrace demo`, or the verb of `--scenario`, here or in a guest
    Run(run::Arguments),
    /// Run a command of this machine in a guest with another kernel; without one, a shell
    Vm(vm::Arguments),
    /// Check everything that needs no kernel: format, lints, unit tests
    Check,
    /// Test everything, on this machine and in guests
    Test(test::Arguments),
    /// Measure the cost of tracing nginx at full load: copytrace beside strace, perf and bpftrace
    #[command(disable_help_flag = true)]
    Bench {
        /// Its own flags; `--help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "FLAGS")]
        words: Vec<OsString>,
    },
    /// The guest's side of `vm`
    #[command(hide = true)]
    GuestAgent,
}

/// Runs the verb that the command line names.
pub fn main() -> ExitCode {
    let words = run::own_flags_first(std::env::args_os().collect());
    exit_code(match Arguments::parse_from(words).verb {
        Verb::Setup(arguments) => setup::main(&arguments).map(|()| 0),
        Verb::Build(arguments) => build_step::main(&arguments).map(|()| 0),
        Verb::Run(arguments) => run::main(arguments),
        Verb::Vm(arguments) => vm::main(arguments),
        Verb::Check => return check::main(),
        Verb::Test(arguments) => test::main(&arguments),
        Verb::Bench { words } => build_step::bench(&words),
        Verb::GuestAgent => guest::agent::main().map(|()| 0),
    })
}

/// Prints an error, and returns the exit status of this process.
pub fn exit_code(result: Result<u8>) -> ExitCode {
    match result {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
