//! The other programs: those of this machine, or else unpacked into the cache.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use xtask::cache::Cache;
use xtask::command;
use xtask::consent::Consent;
use xtask::say::note;
use xtask::setup;

/// A program and the package it is in.
#[derive(Clone, Copy)]
pub struct Tool {
    name: &'static str,
    package: &'static str,
    version: &'static str,
}

/// The server.
pub const NGINX: Tool = Tool { name: "nginx", package: "nginx", version: "-v" };
/// The load.
pub const WRK: Tool = Tool { name: "wrk", package: "wrk", version: "-v" };
/// Stops a process at every system call.
pub const STRACE: Tool = Tool { name: "strace", package: "strace", version: "-V" };
/// Of the distribution, which may be older than the kernel.
pub const PERF: Tool = Tool { name: "perf", package: "linux-perf", version: "--version" };
/// Compiles scripts to eBPF.
pub const BPFTRACE: Tool = Tool { name: "bpftrace", package: "bpftrace", version: "--version" };

/// A program that can be started.
#[derive(Clone)]
pub struct Program {
    file: PathBuf,
    libraries: Option<OsString>,
}

impl Program {
    /// A command that runs it.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.file);
        if let Some(libraries) = &self.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command
    }
}

/// Downloads missing tools. A tool that only one row needs may stay missing: the row reports it.
pub fn fetch(cache: &Cache, consent: Consent) -> Result<()> {
    for tool in [NGINX, WRK] {
        tool.ensure(cache, consent)?;
    }
    for tool in [STRACE, PERF, BPFTRACE] {
        if let Err(error) = tool.ensure(cache, consent) {
            note(&format!("going on without {}: {error:#}", tool.name));
        }
    }
    Ok(())
}

impl Tool {
    fn ensure(self, cache: &Cache, consent: Consent) -> Result<()> {
        if self.find(cache).is_ok() {
            return Ok(());
        }
        consent.ask(self.name)?;
        let place = cache.packages(self.package);
        setup::guest::fetch(cache, self.package, &place)
            .with_context(|| format!("{} is missing: install {}", self.name, self.package))
    }

    /// On this machine, else in the cache.
    pub fn find(self, cache: &Cache) -> Result<Program> {
        let installed = command::find(self.name).map(|file| Program { file, libraries: None });
        installed.or_else(|| self.unpacked(cache)).with_context(|| {
            format!(
                "{} is neither installed nor in the cache (package {})",
                self.name, self.package
            )
        })
    }

    fn unpacked(self, cache: &Cache) -> Option<Program> {
        let root = cache.packages(self.package);
        let mut places = ["usr/bin", "usr/sbin"].map(|folder| root.join(folder).join(self.name));
        let file =
            places.iter_mut().find(|file| command::is_executable(file)).map(std::mem::take)?;
        let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
        let libraries = libraries.map(|folder| root.join(folder));
        Some(Program { file, libraries: std::env::join_paths(libraries).ok() })
    }

    /// Its version, or the reason why it has none.
    pub fn version(self, cache: &Cache) -> String {
        let Ok(program) = self.find(cache) else { return "missing".to_owned() };
        match program.command().arg(self.version).output() {
            Ok(output) => {
                let said = [output.stdout, output.stderr].concat();
                first_number(&String::from_utf8_lossy(&said)).unwrap_or("unknown").to_owned()
            }
            Err(error) => error.to_string(),
        }
    }
}

/// The first word with a number and a dot in it.
fn first_number(text: &str) -> Option<&str> {
    let words = text.split(|character: char| character.is_whitespace() || character == '/');
    words.map(|word| word.trim_start_matches('v')).find(|word| {
        word.starts_with(|character: char| character.is_ascii_digit()) && word.contains('.')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        for (said, version) in [
            ("nginx version: nginx/1.22.1\n", "1.22.1"),
            ("wrk debian/4.1.0-3+b2 [epoll] Copyright (C) 2012 Will Glozer", "4.1.0-3+b2"),
            ("strace -- version 6.1\nCopyright (c) 1991-2022", "6.1"),
            ("perf version 6.1.187\n", "6.1.187"),
            ("bpftrace v0.17.0\n", "0.17.0"),
        ] {
            assert_eq!(first_number(said), Some(version));
        }
        assert_eq!(first_number("no such thing"), None);
    }
}
