//! `copytrace doctor`: the features of this kernel, and the resolved catalogue.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use tracer::{
    kernel::{Allocation, Record},
    session::{Memory, Purpose, Wanted, memory, memory_of_a_cpu, trial},
    witness::{Plan, Tier, sites::CallSite},
};
use tracer_ledger::{flows::Detail, size};

use super::{
    kernel::{Kernel, Sites, TierChoice},
    output::{
        Destination,
        file::{Readers, ResultFile},
    },
    programs::{Form, Programs},
    rights, say,
};

/// Arguments of `copytrace doctor`.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Print every call to a copy routine that was found, with its address
    #[arg(long)]
    sites: bool,
    #[command(flatten)]
    breadth: Sites,
    /// Print nothing; exit with status 0 if this kernel supports function probes
    #[arg(long, conflicts_with_all = ["sites", "tier", "all_copy_sites"])]
    function_probes: bool,
    /// Show the catalogue as this tier resolves it
    #[arg(long, value_enum, default_value = "auto")]
    tier: TierChoice,
    /// Load each eBPF program that `run --stacks` would need with `--verify`, and with `--jvm-copies`,
    /// and print what it costs the kernel's verifier
    #[arg(long, conflicts_with_all = ["sites", "function_probes"])]
    programs: bool,
    /// Print `--programs` in this format
    #[arg(short, long, value_enum, default_value = "table", requires = "programs")]
    format: Form,
    /// Write this kernel's types, symbols and the callers of its copy routines to a .tar.gz, for a bug
    /// report or a test
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// Exit status 0: the kernel takes eBPF programs of this user. With `--function-probes`: function probes,
/// too.
pub fn run(options: &Options, verbose: bool) -> anyhow::Result<ExitCode> {
    let kernel = Kernel::look(options.breadth.breadth())?;
    if let Some(path) = &options.record {
        record(path)?;
    }
    if options.function_probes {
        return Ok(function_probes(&kernel));
    }
    let plan = kernel.plan(options.tier)?;
    if options.programs {
        let programs = Programs::load(&kernel.facts.release, &plan)?;
        Destination::Stdout.print(|_, out| programs.write(options.format, out))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = Vec::new();
    describe(&mut text, options, &kernel, &plan, verbose)?;
    let text = String::from_utf8_lossy(&text);
    Destination::Stdout.print(|style, out| {
        // Lists are for programs, too.
        let text = if options.sites { style.drawn(&text) } else { style.wrapped(&text).into() };
        out.write_all(text.as_bytes())
    })?;
    Ok(match &kernel.trial.tracepoint {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            let reason = rights::advise(reason.clone());
            say(&format!("copytrace: nothing can be measured here: {reason}"));
            ExitCode::FAILURE
        }
    })
}

/// Writes the requested parts.
fn describe(
    out: &mut dyn Write,
    options: &Options,
    kernel: &Kernel,
    plan: &Plan,
    verbose: bool,
) -> io::Result<()> {
    if options.sites {
        return plan.sites.iter().try_for_each(|site| write_site(out, site));
    }
    let can_measure = kernel.trial.tracepoint.is_ok();
    if can_measure {
        write_tier(out, plan)?;
        write_missing(out, plan)?;
    }
    write_kernel(out, kernel)?;
    write_memory(out, kernel.facts.allocation())?;
    match can_measure {
        true if verbose => write_witnesses(out, plan),
        true => writeln!(out, "\n{}; --verbose lists them", witnesses(plan)),
        false => Ok(()),
    }
}

fn function_probes(kernel: &Kernel) -> ExitCode {
    match (&kernel.trial.fentry, &kernel.trial.kprobe) {
        (Err(fentry), Err(kprobe)) => {
            eprintln!("no function probes: kprobe: {kprobe}; fentry: {fentry}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

fn record(path: &Path) -> anyhow::Result<()> {
    let mut file = ResultFile::prepare(path, Readers::Usual)?;
    let mut archive = Vec::new();
    Record::take()?.write(&mut archive)?;
    file.write(&archive)
}

fn write_site(out: &mut dyn Write, site: &CallSite) -> io::Result<()> {
    let how = if site.tail { "jmp" } else { "call" };
    writeln!(out, "{:#018x} {how:4} {}", site.address, site.label())
}

fn write_kernel(out: &mut dyn Write, kernel: &Kernel) -> io::Result<()> {
    let trial = &kernel.trial;
    let text = match &kernel.facts.text_error {
        None => Ok(()),
        Some(error) => Err(error.as_str().into()),
    };
    writeln!(out, "Kernel {}", kernel.facts.release)?;
    for (name, result) in [
        ("BTF", &Ok(())),
        ("raw tracepoints", &trial.tracepoint),
        ("fentry", &trial.fentry),
        ("kprobes", &trial.kprobe),
        ("kernel text", &text),
        ("hardware breakpoints", &kernel.breakpoint()),
        ("hardware breakpoints in programs", &trial::breakpoint_in_program()),
    ] {
        match result {
            Ok(()) => writeln!(out, "  ✔ {name}")?,
            Err(reason) => writeln!(out, "  ✘ {name}: {reason}")?,
        }
    }
    writeln!(out, "  lockdown: {}", lockdown())?;
    writeln!(out, "  capabilities: {}", capabilities())
}

/// The kernel's memory for the maps.
fn write_memory(out: &mut dyn Write, allocation: Allocation) -> io::Result<()> {
    let flows = |stacks| Purpose::Flows {
        detail: Detail::Process,
        stacks,
        wanted: Wanted::default(),
        scarcity: 1,
    };
    writeln!(
        out,
        "\nMemory of the eBPF maps, charged to the control group that copytrace runs in"
    )?;
    writeln!(out, "  {:20}  {:>9}  {:>9}  {:>13}", "", "at once", "when full", "per extra CPU")?;
    for (verbs, purpose) in [
        ("demo", Purpose::Windows),
        ("run, attach", flows(false)),
        ("run, attach --stacks", flows(true)),
    ] {
        let Memory { at_rest, at_most } = memory(purpose, allocation).map_err(io::Error::other)?;
        let of_a_cpu = memory_of_a_cpu(purpose, allocation).map_err(io::Error::other)?;
        let [at_rest, at_most, of_a_cpu] = [at_rest, at_most, of_a_cpu].map(size);
        writeln!(out, "  {verbs:20}  {at_rest:>9}  {at_most:>9}  {of_a_cpu:>13}")?;
    }
    Ok(())
}

/// The chosen mode of `/sys/kernel/security/lockdown`, which looks like `[none] integrity`.
fn lockdown() -> String {
    let text = fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default();
    let chosen = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    chosen.map_or_else(|| "not offered by this kernel".to_owned(), |(mode, _)| mode.to_owned())
}

/// Capabilities that matter for probes, by their bit in `CapEff`.
const CAPABILITIES: &[(&str, u32)] = &[
    ("CAP_BPF", 39),
    ("CAP_PERFMON", 38),
    ("CAP_SYS_ADMIN", 21),
    ("CAP_NET_ADMIN", 12),
    ("CAP_SYSLOG", 34),
    ("CAP_SYS_RAWIO", 17),
    ("CAP_IPC_LOCK", 14),
];

fn capabilities() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    let (have, lack): (Vec<_>, Vec<_>) =
        CAPABILITIES.iter().partition(|(_, bit)| effective >> bit & 1 != 0);
    let names = |list: Vec<&(&str, u32)>| {
        list.into_iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
    };
    match (have.is_empty(), lack.is_empty()) {
        (_, true) => names(have),
        (true, _) => "none of those that matter here".to_owned(),
        _ => format!("{} (without {})", names(have), names(lack)),
    }
}

/// The tier, and what it can measure.
fn write_tier(out: &mut dyn Write, plan: &Plan) -> io::Result<()> {
    let means = match plan.tier {
        Tier::Fentry | Tier::Kprobe => "CPU copies are measured where they are made",
        Tier::Tracepoint => {
            "CPU copies are derived from return values, or unseen; switches, faults, disk and network \
             card are measured"
        }
    };
    writeln!(out, "Tier {}: {means}", plan.tier)?;
    if plan.tier == Tier::Tracepoint {
        writeln!(
            out,
            "To measure CPU copies: a kernel with CONFIG_KPROBES, such as a distribution's, or \
             `cargo xtask run --on vm` in copytrace's sources"
        )?;
    }
    Ok(())
}

/// Features that this kernel lacks, and what is then not seen.
fn write_missing(out: &mut dyn Write, plan: &Plan) -> io::Result<()> {
    let unknown = plan.unknown.iter().map(|unknown| unknown.warning().to_string());
    let missing = plan.missing.iter().map(|it| format!("{}: {}", it.witness, it.reason));
    let lines: Vec<_> = unknown.chain(missing).collect();
    if !lines.is_empty() {
        writeln!(out, "Missing")?;
    }
    lines.iter().try_for_each(|line| writeln!(out, "  – {line}"))?;
    writeln!(out)
}

/// The number of witnesses.
fn witnesses(plan: &Plan) -> String {
    format!(
        "Witnesses: {} tracepoints, {} functions, {} call sites",
        plan.tracepoints.len(),
        plan.probes.len(),
        plan.sites.len(),
    )
}

fn write_witnesses(out: &mut dyn Write, plan: &Plan) -> io::Result<()> {
    writeln!(out, "\nWitnesses")?;
    for tracepoint in &plan.tracepoints {
        writeln!(out, "  ✔ tracepoint {:24} {}", tracepoint.name, tracepoint.sees)?;
    }
    for probe in &plan.probes {
        let (from, to, by) = probe.witness.movement;
        writeln!(out, "  ✔ {:10} {:24} {from} → {to}, {by}", plan.tier, probe.symbol)?;
    }
    for site in &plan.sites {
        writeln!(out, "  ✔ call site  {}", site.label())?;
    }
    for leaf in &plan.leaves {
        writeln!(out, "  · breakpoint {:24} under --verify", leaf.symbol)?;
    }
    Ok(())
}
