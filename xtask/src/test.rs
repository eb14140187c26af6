//! `cargo xtask test`: everything that must hold, from formatting to two guest kernels.

use std::ffi::OsString;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result, anyhow, bail};

use crate::build_step::{self, Environment, Profile};
use crate::cache::Cache;
use crate::e2e::Tier;
use crate::guest::client::{Input, Output};
use crate::guest::death::Death;
use crate::packages::as_root;
use crate::say::note;
use crate::setup::{self, Consent};
use crate::signals;
use crate::vm::{self, Job, Nic};
use crate::{KernelVersion, command};

/// Far more than the checks in one guest take.
const GUEST_TIMEOUT: Duration = Duration::from_secs(60 * 60);

/// What the line of a check that failed begins with, and the lines that say more.
const FAIL: &str = "  FAIL  ";
const MORE: &str = "        ";

/// How much of a failed step's output is shown.
const TAIL_LINES: usize = 80;

/// `cargo xtask test`
#[derive(clap::Args)]
pub struct Arguments {
    /// Install nothing: what is missing is an error
    #[arg(long)]
    no_setup: bool,
    /// One guest, one tier, fewer repetitions
    #[arg(long)]
    quick: bool,
}

/// How many checks had which result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    passed: u32,
    failed: u32,
    skipped: u32,
    /// What was printed of those that failed.
    failures: Vec<String>,
}

impl Tally {
    /// Counts a check, and prints its line.
    pub fn record(&mut self, name: &str, took: Duration, failure: Option<&Error>) {
        let seconds = took.as_secs_f64();
        match failure {
            None => {
                self.passed += 1;
                println!("  ok    {name} ({seconds:.1} s)");
            }
            Some(error) => {
                self.failed += 1;
                let mut text = format!("{FAIL}{name} ({seconds:.1} s)\n");
                for line in format!("{error:#}").lines() {
                    text += &format!("{MORE}{line}\n");
                }
                print!("{text}");
                self.failures.push(text);
            }
        }
    }

    /// Counts a check that could not be made, and prints why.
    pub fn skip(&mut self, name: &str, reason: &str) {
        self.skipped += 1;
        println!("  skip  {name}: {reason}");
    }

    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.failures.extend(other.failures);
    }

    fn checks(&self) -> u32 {
        self.passed + self.failed + self.skipped
    }

    /// The exit status that says so.
    pub fn status(&self) -> u8 {
        u8::from(self.failed > 0)
    }

    /// Reads what [`Display`](std::fmt::Display) wrote.
    fn parse(line: &str) -> Option<Self> {
        let mut tally = Self::default();
        for part in line.split(", ") {
            let (number, what) = part.split_once(' ')?;
            let number = number.parse().ok()?;
            match what {
                "passed" => tally.passed = number,
                "failed" => tally.failed = number,
                "skipped" => tally.skipped = number,
                _ => return None,
            }
        }
        Some(tally)
    }

    /// Counts the lines of checks that were made in some place.
    fn of_lines(place: &str, output: &str) -> Self {
        let mut tally = Self::default();
        let mut failing = false;
        for line in output.lines() {
            match line.get(..MORE.len()) {
                Some("  ok    ") => tally.passed += 1,
                Some(FAIL) => {
                    tally.failed += 1;
                    tally.failures.push(format!("  {place}\n"));
                }
                Some("  skip  ") => tally.skipped += 1,
                _ => {}
            }
            failing = line.starts_with(FAIL) || failing && line.starts_with(MORE);
            if failing && let Some(failure) = tally.failures.last_mut() {
                failure.push_str(&format!("{line}\n"));
            }
        }
        tally
    }

    /// Adds up what cargo's test programs report.
    fn of_cargo(output: &str) -> Self {
        let mut tally = Self::default();
        for line in output.lines().filter_map(|line| line.strip_prefix("test result: ")) {
            let counts = line.split_once(". ").map_or("", |(_, counts)| counts);
            for part in counts.split("; ") {
                let Some((number, what)) = part.split_once(' ') else { continue };
                let number = number.parse().unwrap_or(0);
                match what {
                    "passed" => tally.passed += number,
                    "failed" => tally.failed += number,
                    "ignored" => tally.skipped += number,
                    _ => {}
                }
            }
        }
        tally
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

/// Runs everything; the last line sums up.
pub fn main(arguments: &Arguments) -> Result<u8> {
    let consent = Consent::unless(arguments.no_setup);
    let environment = Environment::prepare(consent)?;
    let mut tally = Tally::default();
    format_and_lint(&environment, &mut tally);
    unit_tests(&environment, &mut tally);
    let cache = Cache::locate()?;
    let nginx = setup::guest::programs_for_tests(&cache, consent);
    if let Err(error) = &nginx {
        tally.record("set-up of nginx, curl and openssl", Duration::ZERO, Some(error));
    }
    if step(&mut tally, "build", || build_step::build(&environment, Profile::Dev)) {
        on_host(arguments.quick, &mut tally)?;
        in_guests(arguments.quick, consent, &mut tally)?;
    }
    if !tally.failures.is_empty() {
        println!("what failed, once more:\n{}", tally.failures.concat());
    }
    println!("{tally}");
    Ok(tally.status())
}

fn step(tally: &mut Tally, name: &str, run: impl FnOnce() -> Result<()>) -> bool {
    note(&format!("{name} …"));
    let since = Instant::now();
    let result = run();
    tally.record(name, since.elapsed(), result.as_ref().err());
    result.is_ok()
}

fn format_and_lint(environment: &Environment, tally: &mut Tally) {
    step(tally, "cargo fmt", || quietly(environment.cargo(&["fmt", "--all", "--", "--check"])));
    let clippy = ["clippy", "--quiet", "--all-targets", "--", "-D", "warnings"];
    step(tally, "cargo clippy", || quietly(environment.cargo(&clippy)));
}

fn unit_tests(environment: &Environment, tally: &mut Tally) {
    note("cargo test …");
    let since = Instant::now();
    let mut cargo = environment.cargo(&["test", "--no-fail-fast"]);
    let output = cargo.stdin(Stdio::null()).output();
    let failure = match output {
        Ok(output) => {
            let text = both(&output.stdout, &output.stderr);
            let counts = Tally::of_cargo(&text);
            println!("{MORE}cargo test: {counts}");
            tally.add(Tally { failed: 0, ..counts });
            (!output.status.success())
                .then(|| anyhow!("{}\n{}", output.status, command::tail(&text, TAIL_LINES)))
        }
        Err(error) => Some(anyhow!("cannot start cargo: {error}")),
    };
    tally.record("cargo test", since.elapsed(), failure.as_ref());
}

fn quietly(mut command: Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().context("cannot start cargo")?;
    if !output.status.success() {
        let text = both(&output.stdout, &output.stderr);
        bail!("{}\n{}", output.status, command::tail(&text, TAIL_LINES));
    }
    Ok(())
}

fn both(stdout: &[u8], stderr: &[u8]) -> String {
    format!("{}\n{}", String::from_utf8_lossy(stdout), String::from_utf8_lossy(stderr))
}

fn on_host(quick: bool, tally: &mut Tally) -> Result<()> {
    const NAME: &str = "this machine’s kernel, tracepoint tier";
    if !rustix::process::geteuid().is_root() && command::find("sudo").is_none() {
        tally.skip(NAME, "it needs root, and there is no sudo");
        return Ok(());
    }
    if !std::path::Path::new("/sys/kernel/btf/vmlinux").exists() {
        tally.skip(NAME, "the kernel has no BTF");
        return Ok(());
    }
    note(&format!("{NAME} …"));
    println!("{NAME}:");
    let words = checks(&[Tier::Tracepoint], quick, 0)?;
    let (program, arguments) = words.split_first().context("no command")?;
    let output = as_root(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start this very program")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    print!("{}", without_last_line(&text));
    conclude(tally, NAME, Ok(()), &text);
    Ok(())
}

fn in_guests(quick: bool, consent: Consent, tally: &mut Tally) -> Result<()> {
    let both = [Tier::Kprobe, Tier::Fentry];
    let (kernels, tiers): (&[_], &[_]) = if quick {
        (&[KernelVersion::V6_12], &both[1..])
    } else {
        (&[KernelVersion::V6_1, KernelVersion::V6_12], &both)
    };
    println!(
        "guests with Linux {}:",
        kernels.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
    );
    // Signals are for whoever waits for them in a guest.
    let _held = signals::hold();
    // A guest has one thread for all its CPUs, so two take hardly longer than one.
    let all: Vec<_> = std::thread::scope(|scope| {
        let guests: Vec<_> = kernels
            .iter()
            .map(|&kernel| scope.spawn(move || (kernel, in_guest(kernel, tiers, quick, consent))))
            .collect();
        guests.into_iter().map(|guest| guest.join()).collect()
    });
    for ended in all {
        let Ok((kernel, Made { before, result, text })) = ended else {
            bail!("a guest's thread ended")
        };
        if matches!(result, Ok(128..)) {
            bail!("interrupted");
        }
        tally.add(before);
        conclude(tally, &guest(kernel), result.map(drop), &text);
    }
    Ok(())
}

fn guest(kernel: KernelVersion) -> String {
    format!("guest with Linux {kernel}")
}

/// What came of the checks in a guest.
struct Made {
    /// Those that were made in another guest before.
    before: Tally,
    result: Result<u8>,
    /// What was printed of the others.
    text: String,
}

/// Makes the checks in one guest. If its emulator fails, another guest makes those that are left.
fn in_guest(kernel: KernelVersion, tiers: &[Tier], quick: bool, consent: Consent) -> Made {
    let (result, text) = in_one_guest(kernel, tiers, quick, consent, 0);
    match &result {
        Err(error) if error.downcast_ref().is_some_and(Death::is_of_emulator) => {
            let before = Tally::of_lines(&guest(kernel), &text);
            println!("{kernel}  another guest makes the checks that are left: {error:#}");
            let (result, text) = in_one_guest(kernel, tiers, quick, consent, before.checks());
            Made { before, result, text }
        }
        _ => Made { before: Tally::default(), result, text },
    }
}

/// Makes all checks but the first ones, and answers the guest's exit status and what they printed.
fn in_one_guest(
    kernel: KernelVersion,
    tiers: &[Tier],
    quick: bool,
    consent: Consent,
    made_before: u32,
) -> (Result<u8>, String) {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let output = Box::new(Tee::new(format!("{kernel}  "), Arc::clone(&kept)));
    let result = checks(tiers, quick, made_before).and_then(|command| {
        let job = Job {
            kernel,
            nic: Nic::E1000e,
            modules: vm::FOR_STRATEGIES
                .into_iter()
                .chain(vm::FOR_CHECKS)
                .map(str::to_owned)
                .collect(),
            command,
            environment: vec![("COPYTRACE_WHERE".into(), "vm".into())],
            terminal: None,
            input: Input::Nothing,
            output: Output::To(output),
            timeout: Some(GUEST_TIMEOUT),
            quiet: false,
        };
        vm::run(job, consent)
    });
    if matches!(result, Ok(128..)) {
        // The signal came to this guest alone: the other one ends, too.
        // SAFETY: kill only sends a signal, which this process holds back for the other guest.
        unsafe { libc::kill(libc::getpid(), libc::SIGTERM) };
    }
    let text = kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (result, String::from_utf8_lossy(&text).into_owned())
}

/// This very program's checks of the built command, but for the first ones.
fn checks(tiers: &[Tier], quick: bool, made_before: u32) -> Result<Vec<OsString>> {
    let mut words = vec![std::env::current_exe()?.into_os_string(), "e2e".into()];
    for tier in tiers {
        words.extend(["--tier".into(), tier.name().into()]);
    }
    words.extend(quick.then(|| "--quick".into()));
    words.extend(["--skip".into(), made_before.to_string().into()]);
    let cache = Cache::locate()?;
    words.extend(["--nginx".into(), setup::guest::nginx(&cache).into_os_string()]);
    words.extend(["--packages".into(), cache.all_packages().into_os_string()]);
    Ok(words)
}

/// Adds what the checks reported; without a last line that sums up, that they never ended.
fn conclude(tally: &mut Tally, name: &str, result: Result<()>, text: &str) {
    tally.add(Tally::of_lines(name, text));
    let ended = text.lines().last().and_then(Tally::parse).context("the checks did not end");
    if let Err(error) = result.and(ended) {
        tally.record(name, Duration::ZERO, Some(&error));
    }
}

fn without_last_line(text: &str) -> &str {
    let body = text.trim_end_matches('\n');
    body.rfind('\n').map_or("", |end| &text[..=end])
}

/// Shows lines as they come, but for the one that sums up, and keeps them all.
struct Tee {
    /// What each line begins with.
    lead: String,
    kept: Arc<Mutex<Vec<u8>>>,
    line: Vec<u8>,
}

impl Tee {
    fn new(lead: String, kept: Arc<Mutex<Vec<u8>>>) -> Self {
        Self { lead, kept, line: Vec::new() }
    }
}

impl Write for Tee {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        for &byte in bytes {
            self.line.push(byte);
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                if Tally::parse(String::from_utf8_lossy(&line).trim_end()).is_none() {
                    std::io::stdout().write_all(&[self.lead.as_bytes(), &line].concat())?;
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stdout().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_can_be_read_back() {
        let tally = Tally { passed: 12, failed: 0, skipped: 3, failures: Vec::new() };
        assert_eq!(tally.to_string(), "12 passed, 0 failed, 3 skipped");
        assert_eq!(Tally::parse(&tally.to_string()), Some(tally));
        assert_eq!(Tally::default().to_string(), "0 passed, 0 failed");
        assert_eq!(Tally::parse("  ok    this, that (1.0 s)"), None);
    }

    #[test]
    fn checks_without_a_sum_are_counted_by_their_lines() {
        let text = "  ok    kprobe: one (1.0 s)\n        a remark\n  FAIL  kprobe: two (1.0 s)\n\
                    \x20       why\n  skip  kprobe: three: no NIC\n        a remark\n";
        let failures = vec!["  here\n  FAIL  kprobe: two (1.0 s)\n        why\n".to_owned()];
        let tally = Tally { passed: 1, failed: 1, skipped: 1, failures };
        assert_eq!(Tally::of_lines("here", text), tally);
        assert_eq!(tally.checks(), 3);
    }

    #[test]
    fn cargo_reports_once_a_program() {
        let output = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n\
                      test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured";
        let tally = Tally { passed: 5, failed: 1, skipped: 1, failures: Vec::new() };
        assert_eq!(Tally::of_cargo(output), tally);
    }

    #[test]
    fn the_checks_own_sum_is_not_shown() {
        assert_eq!(without_last_line("a\nb\n1 passed, 0 failed\n"), "a\nb\n");
        assert_eq!(without_last_line("1 passed, 0 failed\n"), "");
    }
}
