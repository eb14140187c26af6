//! Runs the built command and checks it against known facts: the expected numbers come from the
//! textbook's claims and from hardware breakpoints, never from the command's output.
//!
//! `cargo xtask test` starts this program. It makes checks on this machine and in guests, and there
//! it is started again: for one check, as a guest's agent, or as a program that is traced.

mod check;
mod checks;
mod harness;
mod in_place;
mod kernel_log;
mod pace;
mod pages;
mod processes;
mod soak;
mod support;
mod table;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

/// The verbs that `cargo xtask test` starts.
#[derive(Parser)]
enum Verb {
    /// Make the checks whose names match
    Run(harness::Arguments),
    /// Make one check, here and now
    #[command(hide = true)]
    InPlace(in_place::Arguments),
    /// Make known transfers
    #[command(subcommand, hide = true)]
    Soak(soak::Soak),
    /// Print what a document shows
    #[command(hide = true)]
    Print {
        /// The printer's name
        name: String,
        /// A check's context, as JSON
        context: String,
    },
    /// Serve commands in a guest
    #[command(hide = true)]
    GuestAgent,
}

fn main() -> ExitCode {
    match run(Verb::parse()) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("tests: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb) -> Result<ExitCode> {
    match verb {
        Verb::Run(arguments) => return harness::main(&arguments),
        Verb::InPlace(arguments) => in_place::main(&arguments)?,
        Verb::Soak(soak) => soak.run()?,
        Verb::Print { name, context } => pages::print(&name, &context)?,
        Verb::GuestAgent => xtask::guest::agent::main()?,
    }
    Ok(ExitCode::SUCCESS)
}
