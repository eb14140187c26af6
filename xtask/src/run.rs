//! `cargo xtask run`: a verb of copytrace, here or in a guest.

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::ScopedJoinHandle;

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;

use crate::build_step::{self, Profile};
use crate::consent::Consent;
use crate::guest::client::{Input, Output};
use crate::kernel_version::KernelVersion;
use crate::packages::as_root;
use crate::result_file::ResultFile;
use crate::say::note;
use crate::setup::brokers;
use crate::terminal;
use crate::vm;
use crate::vm::{Hardware, Job, Nic, Prepared};

/// A kernel that takes kprobes through perf has this.
const KPROBES: &str = "/sys/bus/event_source/devices/kprobe";

/// `cargo xtask run`
#[derive(clap::Args)]
pub struct Arguments {
    /// Verb of copytrace to run
    #[arg(long, value_enum, value_name = "VERB", default_value_t = Scenario::Demo)]
    scenario: Scenario,
    /// Draw the way of a message by these strategies, as `copytrace explain` does
    #[arg(long, value_name = "STRATEGY", num_args = 1.., conflicts_with = "scenario")]
    explain: Vec<OsString>,
    /// Run here or in a guest: `auto` is here if this kernel supports function probes
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
    /// Flags of that verb; `-- --help` lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "VERB'S FLAGS")]
    words: Vec<OsString>,
}

impl Arguments {
    /// The verb, whichever flag named it.
    fn scenario(&self) -> Scenario {
        if self.explain.is_empty() { self.scenario } else { Scenario::Explain }
    }

    /// Whether Kafka and RocketMQ themselves are to be measured.
    fn wants_programs(&self) -> bool {
        self.scenario == Scenario::Brokers && self.words.iter().any(|word| word == "--real")
    }

    /// The arguments of copytrace. A file comes first, because the later ones may be a command.
    fn of_copytrace(&self, file: Option<&Path>) -> Vec<OsString> {
        let mut all = vec![OsString::from(self.scenario().verb())];
        all.extend_from_slice(&self.explain);
        all.extend(file.into_iter().flat_map(|file| [OsString::from("--output"), file.into()]));
        all.extend_from_slice(&self.words);
        all
    }
}

/// A verb of copytrace that a kernel matters to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// The textbook's strategies
    Demo,
    /// The way of a message as a picture, as in `--scenario explain -- sendfile`
    Explain,
    /// Models of Kafka and RocketMQ, and with `--real` both programs, which Maven fetches
    Brokers,
    /// A command, as in `--scenario run -- cat FILE`; a guest has this machine's programs and files
    Run,
    /// Processes that run already; `auto` is this machine
    Attach,
    /// Report what the kernel supports; `auto` is this machine
    Doctor,
}

impl Scenario {
    /// As copytrace calls it.
    fn verb(self) -> &'static str {
        match self {
            Self::Demo => "demo",
            Self::Explain => "explain",
            Self::Brokers => "brokers",
            Self::Run => "run",
            Self::Attach => "attach",
            Self::Doctor => "doctor",
        }
    }

    /// The place of the run: questions about this machine cannot be answered by a guest.
    fn place(self, wanted: Place) -> Place {
        match (self, wanted) {
            (Self::Attach | Self::Doctor, Place::Auto) => Place::Host,
            (_, wanted) => wanted,
        }
    }

    /// Whether standard input and output are those of a command that it starts.
    fn lends_its_streams(self) -> bool {
        self == Self::Run
    }
}

/// The place of the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Place {
    /// Here if this kernel takes function probes, else in a guest
    Auto,
    /// On this machine
    Host,
    /// In a guest
    Vm,
}

/// Puts this verb's own flags before those of copytrace, wherever they were written: clap gives all
/// that follows the first unknown flag to copytrace.
pub fn own_flags_first(words: Vec<OsString>) -> Vec<OsString> {
    const WITH_VALUE: [&str; 5] = ["--scenario", "--on", "--kernel", "--output", "-o"];
    const WITH_VALUES: &str = "--explain";
    if words.get(1).is_none_or(|verb| verb != "run") {
        return words;
    }
    let mut words = words.into_iter().peekable();
    let mut own: Vec<_> = words.by_ref().take(2).collect();
    let mut others = Vec::new();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        if text == "--" {
            others.extend(words);
            break;
        }
        if text == WITH_VALUES {
            own.push(word);
            let is_value = |word: &OsString| !word.to_string_lossy().starts_with('-');
            own.extend(std::iter::from_fn(|| words.next_if(is_value)));
        } else if WITH_VALUE.contains(&text.as_ref()) {
            own.push(word);
            own.extend(words.next());
        } else if text == "--no-setup"
            || WITH_VALUE
                .iter()
                .chain([&WITH_VALUES])
                .any(|flag| text.starts_with(&format!("{flag}=")))
            || (others.is_empty() && ["--help", "-h"].contains(&text.as_ref()))
        {
            own.push(word);
        } else {
            others.push(word);
        }
    }
    if !others.is_empty() {
        own.push("--".into());
        own.extend(others);
    }
    own
}

/// Runs `cargo xtask run`.
pub fn main(mut arguments: Arguments) -> Result<u8> {
    let consent = Consent::unless(arguments.no_setup);
    let result = arguments.output.as_deref().map(ResultFile::prepare).transpose()?;
    if arguments.wants_programs() {
        ensure!(
            arguments.on != Place::Vm,
            "--real measures this machine: a guest has too little memory for both programs"
        );
        let flags = brokers::flags(&arguments.words, consent)?;
        arguments.words.extend(flags);
    }
    build_step::announce();
    let modules = vm::FOR_STRATEGIES.map(str::to_owned).into();
    let hardware = Hardware { kernel: arguments.kernel, nic: Nic::E1000e, modules };
    let wanted = match arguments.on {
        Place::Auto if arguments.wants_programs() => Place::Host,
        on => arguments.scenario().place(on),
    };
    let early = needs_guest(wanted);
    let (built, guest) = std::thread::scope(|scope| {
        let guest = early.then(|| scope.spawn(|| Prepared::new(&hardware, consent)));
        (build(consent), guest.map(ScopedJoinHandle::join))
    });
    built?;
    let copytrace = build_step::programs(Profile::Dev).join("copytrace");
    let place = match wanted {
        Place::Auto => choose(&copytrace, arguments.kernel),
        chosen => chosen,
    };
    match place {
        Place::Host => on_host(&copytrace, &arguments),
        _ => {
            let guest = match guest {
                Some(Ok(prepared)) => prepared?,
                Some(Err(panic)) => std::panic::resume_unwind(panic),
                None => Prepared::new(&hardware, consent)?,
            };
            let status = guest.run(job(&copytrace, &arguments, result.as_ref())?)?;
            result.map_or(Ok(()), ResultFile::keep)?;
            Ok(status)
        }
    }
}

fn build(consent: Consent) -> Result<()> {
    build_step::build(&build_step::BuildEnvironment::prepare(consent)?, Profile::Dev)
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

fn on_host(copytrace: &Path, arguments: &Arguments) -> Result<u8> {
    let mut command: Command = as_root(copytrace);
    command.args(arguments.of_copytrace(arguments.output.as_deref()));
    // Its signals, its terminal and its exit status are this process's own.
    Err(command.exec()).with_context(|| format!("cannot run {}", copytrace.display()))
}

/// The result is what copytrace prints, but where a command prints.
fn job(copytrace: &Path, arguments: &Arguments, result: Option<&ResultFile>) -> Result<Job> {
    let lends = arguments.scenario().lends_its_streams();
    let file = arguments.output.as_deref().filter(|_| lends);
    if let Some(path) = file {
        ensure!(
            !path
                .components()
                .any(|part| matches!(part, Component::RootDir | Component::ParentDir)),
            "a guest brings back files below this folder only, and {} is no such: give --output a \
             relative path",
            path.display()
        );
    }
    let mut command = vec![OsString::from(copytrace)];
    command.extend(arguments.of_copytrace(file));
    Ok(Job {
        command,
        environment: environment(result.is_none()),
        terminal: None,
        input: if lends { Input::Inherited } else { Input::Nothing },
        output: match result {
            Some(result) if !lends => Output::To(Box::new(result.writer()?)),
            _ => Output::Inherited,
        },
        timeout: None,
        quiet: false,
    })
}

/// Variables that the command needs: its place, and whether its output is shown on a terminal.
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
    use clap::Parser as _;

    use super::*;

    fn sorted(line: &str) -> String {
        let words = line.split(' ').map(OsString::from).collect();
        shown(&own_flags_first(words))
    }

    fn shown(words: &[OsString]) -> String {
        words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[derive(clap::Parser)]
    struct Run {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parsed(line: &str) -> Arguments {
        let words = format!("xtask run {line}").split(' ').map(OsString::from).collect();
        Run::parse_from(&own_flags_first(words)[1..]).arguments
    }

    #[test]
    fn own_flags_are_found_among_those_of_copytrace() {
        assert_eq!(
            sorted("xtask run --format json --kernel 6.1 --messages 1 --no-setup --on=vm"),
            "xtask run --kernel 6.1 --no-setup --on=vm -- --format json --messages 1"
        );
        assert_eq!(
            sorted("xtask run --rounds 1 --scenario brokers"),
            "xtask run --scenario brokers -- --rounds 1"
        );
        assert_eq!(
            sorted("xtask run --nic-sg off --explain read-write sendfile --on vm --ascii"),
            "xtask run --explain read-write sendfile --on vm -- --nic-sg off --ascii"
        );
        assert_eq!(sorted("xtask run -- --on x"), "xtask run -- --on x");
        assert_eq!(sorted("xtask run -- --help"), "xtask run -- --help");
        assert_eq!(sorted("xtask run --help"), "xtask run --help");
        assert_eq!(sorted("xtask vm --format json"), "xtask vm --format json");
    }

    #[test]
    fn a_scenario_is_a_verb_of_copytrace() {
        let copytrace = |line: &str| shown(&parsed(line).of_copytrace(None));
        assert_eq!(copytrace("--messages 1"), "demo --messages 1");
        assert_eq!(copytrace("--scenario brokers --to nic"), "brokers --to nic");
        assert_eq!(copytrace("--explain splice recv --ascii"), "explain splice recv --ascii");
        assert_eq!(copytrace("--explain=splice -o -"), "explain splice");
        assert_eq!(copytrace("--scenario explain splice"), "explain splice");
        assert_eq!(copytrace("--on vm --scenario=run -- cat -n -- -x"), "run cat -n -- -x");
        assert_eq!(copytrace("--scenario run --verify -- cat x"), "run --verify cat x");
    }

    #[test]
    fn programs_are_fetched_for_the_brokers_alone() {
        assert!(parsed("--scenario brokers --real --quick").wants_programs());
        assert!(!parsed("--scenario brokers").wants_programs());
        assert!(!parsed("--scenario run -- tool --real").wants_programs());
    }

    #[test]
    fn what_asks_about_this_machine_is_answered_by_it() {
        assert_eq!(Scenario::Run.place(Place::Auto), Place::Auto);
        assert_eq!(Scenario::Doctor.place(Place::Auto), Place::Host);
        assert_eq!(Scenario::Doctor.place(Place::Vm), Place::Vm);
    }

    #[test]
    fn a_report_does_not_go_where_a_command_prints() {
        let program = Path::new("copytrace");
        let folder = tempfile::tempdir().unwrap();
        let result = ResultFile::prepare(&folder.path().join("x")).unwrap();
        let job = |line: &str| job(program, &parsed(line), Some(&result));

        let brokers = job("--scenario brokers --output x").unwrap();
        assert_eq!(shown(&brokers.command), "copytrace brokers");
        assert!(matches!(brokers.output, Output::To(_)));

        let run = job("--scenario run --output x -- cat f").unwrap();
        assert_eq!(shown(&run.command), "copytrace run --output x cat f");
        assert!(matches!(run.output, Output::Inherited));
        assert_eq!(run.input, Input::Inherited);

        assert!(job("--scenario run --output /x -- cat f").is_err());
    }
}
