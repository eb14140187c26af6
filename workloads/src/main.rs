//! The command `workloads`: see the library.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    workloads::cli::run(workloads::cli::Cli::parse())
}
