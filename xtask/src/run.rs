//! `cargo xtask run`: `copytrace demo`, here or in a guest.

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::ScopedJoinHandle;

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use crate::build_step::{self, Profile};
use crate::guest::client::{Input, Output};
use crate::packages::as_root;
use crate::result_file::ResultFile;
use crate::say::note;
use crate::setup::Consent;
use crate::vm::{Hardware, Job, Nic, Prepared};
use crate::{KernelVersion, terminal, vm};

/// A kernel that takes kprobes through perf has this.
const KPROBES: &str = "/sys/bus/event_source/devices/kprobe";

/// `cargo xtask run`
#[derive(clap::Args)]
pub struct Arguments {
    /// Where to measure: `auto` takes this machine if its kernel takes function probes
    #[arg(long, value_enum, default_value_t = Place::Auto)]
    on: Place,
    /// The guest's kernel
    #[arg(long, value_name = "VERSION", default_value_t = KernelVersion::USUAL)]
    kernel: KernelVersion,
    /// Install nothing: what is missing is an error
    #[arg(long)]
    no_setup: bool,
    /// Write the result to a file of this machine
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Flags of `copytrace demo`; `-- --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "DEMO FLAGS")]
    demo: Vec<OsString>,
}

/// Where the measurement runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Place {
    /// Here if this kernel takes function probes, else in a guest
    Auto,
    /// On this machine
    Host,
    /// In a guest
    Vm,
}

/// Puts this verb's own flags before those of the demo, wherever they were written: clap gives all
/// that follows the first unknown flag to the demo.
pub fn own_flags_first(words: Vec<OsString>) -> Vec<OsString> {
    const WITH_VALUE: [&str; 4] = ["--on", "--kernel", "--output", "-o"];
    if words.get(1).is_none_or(|verb| verb != "run") {
        return words;
    }
    let mut words = words.into_iter();
    let mut own: Vec<_> = words.by_ref().take(2).collect();
    let mut demo = Vec::new();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        if text == "--" {
            demo.extend(words);
            break;
        }
        if WITH_VALUE.contains(&text.as_ref()) {
            own.push(word);
            own.extend(words.next());
        } else if text == "--no-setup"
            || WITH_VALUE.iter().any(|flag| text.starts_with(&format!("{flag}=")))
            || (demo.is_empty() && ["--help", "-h"].contains(&text.as_ref()))
        {
            own.push(word);
        } else {
            demo.push(word);
        }
    }
    if !demo.is_empty() {
        own.push("--".into());
        own.extend(demo);
    }
    own
}

/// Runs `cargo xtask run`.
pub fn main(arguments: Arguments) -> Result<u8> {
    let consent = Consent::unless(arguments.no_setup);
    let result = arguments.output.as_deref().map(ResultFile::prepare).transpose()?;
    build_step::announce();
    let modules = vm::FOR_STRATEGIES.map(str::to_owned).into();
    let hardware = Hardware { kernel: arguments.kernel, nic: Nic::E1000e, modules };
    let early = needs_guest(arguments.on);
    let (built, guest) = std::thread::scope(|scope| {
        let guest = early.then(|| scope.spawn(|| Prepared::new(&hardware, consent)));
        (build(consent), guest.map(ScopedJoinHandle::join))
    });
    built?;
    let copytrace = build_step::programs(Profile::Dev).join("copytrace");
    let place = match arguments.on {
        Place::Auto => choose(&copytrace, arguments.kernel),
        chosen => chosen,
    };
    match place {
        Place::Host => on_host(&copytrace, &arguments.demo, arguments.output.as_deref()),
        _ => {
            let guest = match guest {
                Some(Ok(prepared)) => prepared?,
                Some(Err(panic)) => std::panic::resume_unwind(panic),
                None => Prepared::new(&hardware, consent)?,
            };
            let status = guest.run(job(&copytrace, &arguments.demo, result.as_ref())?)?;
            result.map_or(Ok(()), ResultFile::keep)?;
            Ok(status)
        }
    }
}

fn build(consent: Consent) -> Result<()> {
    build_step::build(&build_step::Environment::prepare(consent)?, Profile::Dev)
}

/// Whether a guest is needed for sure, which can then be fetched while the programs are built. What
/// the program will say of this kernel is foreseen where the kernel has no kprobes.
fn needs_guest(place: Place) -> bool {
    match place {
        Place::Auto => !Path::new(KPROBES).exists(),
        Place::Host => false,
        Place::Vm => true,
    }
}

/// Asks the program itself whether this kernel takes function probes.
fn choose(copytrace: &Path, kernel: KernelVersion) -> Place {
    let answer =
        as_root(copytrace).args(["doctor", "--function-probes"]).stdin(Stdio::inherit()).output();
    let why = match answer {
        Ok(output) if output.status.success() => {
            note("measuring on this machine: its kernel takes function probes");
            return Place::Host;
        }
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            said.lines().next().unwrap_or("no function probes").to_owned()
        }
        Err(error) => format!("it cannot be asked: {error}"),
    };
    note(&format!("measuring in a guest with Linux {kernel}; on this machine: {why}"));
    Place::Vm
}

fn on_host(copytrace: &Path, demo: &[OsString], output: Option<&Path>) -> Result<u8> {
    let mut command: Command = as_root(copytrace);
    command.arg("demo").args(demo);
    if let Some(path) = output {
        command.arg("--output").arg(path);
    }
    // Its signals, its terminal and its exit status are this process's own.
    Err(command.exec()).with_context(|| format!("cannot run {}", copytrace.display()))
}

fn job(copytrace: &Path, demo: &[OsString], result: Option<&ResultFile>) -> Result<Job> {
    let mut command = vec![OsString::from(copytrace), OsString::from("demo")];
    command.extend_from_slice(demo);
    Ok(Job {
        command,
        environment: environment(result.is_none()),
        terminal: None,
        input: Input::Nothing,
        output: match result {
            Some(result) => Output::To(Box::new(result.writer()?)),
            None => Output::Inherited,
        },
        timeout: None,
        quiet: false,
    })
}

/// What the command cannot find out by itself: where it is, and whether a terminal shows it.
fn environment(to_stdout: bool) -> Vec<(OsString, OsString)> {
    let mut all = vec![(OsString::from("COPYTRACE_WHERE"), OsString::from("vm"))];
    if to_stdout && std::io::stdout().is_terminal() {
        if std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) {
            all.push(("CLICOLOR_FORCE".into(), "1".into()));
        }
        if let Some(size) = terminal::size() {
            all.push(("COLUMNS".into(), OsStr::new(&size.columns.to_string()).to_owned()));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(line: &str) -> String {
        let words = line.split(' ').map(OsString::from).collect();
        let sorted = own_flags_first(words);
        sorted.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn own_flags_are_found_among_those_of_the_demo() {
        assert_eq!(
            sorted("xtask run --format json --kernel 6.1 --messages 1 --no-setup --on=vm"),
            "xtask run --kernel 6.1 --no-setup --on=vm -- --format json --messages 1"
        );
        assert_eq!(sorted("xtask run -- --on x"), "xtask run -- --on x");
        assert_eq!(sorted("xtask run -- --help"), "xtask run -- --help");
        assert_eq!(sorted("xtask run --help"), "xtask run --help");
        assert_eq!(sorted("xtask vm --format json"), "xtask vm --format json");
    }
}
