//! The built command, run for real and checked against what is known of the kernel: the expected
//! numbers come from the documents' claims and from hardware breakpoints, never from its output.

mod bad_use;
mod brokers;
mod detail;
mod document;
mod expected;
mod flows;
mod left;
mod measure;
mod postgres;
mod programs;
mod python;
mod redis;
mod report;
mod soak;
mod together;
mod traced;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use clap::ValueEnum;

use crate::build_step::{self, Profile};
use crate::test::Tally;

/// The guest's side of `cargo xtask test`
#[derive(clap::Args)]
pub struct Arguments {
    /// How the kernel's functions are entered; repeatable
    #[arg(long = "tier", value_enum, required = true)]
    tiers: Vec<Tier>,
    /// Repeat less
    #[arg(long)]
    quick: bool,
    /// Where nginx is unpacked
    #[arg(long)]
    nginx: Option<PathBuf>,
    /// Where other programs are unpacked
    #[arg(long)]
    packages: Option<PathBuf>,
    /// Make only the checks whose name has this in it; repeatable
    #[arg(long)]
    only: Vec<String>,
    /// Leave so many of them out: another guest has made them
    #[arg(long, default_value_t = 0)]
    skip: u32,
}

/// How functions of the kernel are entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Tier {
    /// fentry and fexit
    Fentry,
    /// kprobes and kretprobes
    Kprobe,
    /// No functions: stable tracepoints only
    Tracepoint,
}

impl Tier {
    /// As `copytrace demo --tier` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
            Self::Tracepoint => "tracepoint",
        }
    }
}

/// What a check runs with.
#[derive(Clone)]
pub struct Context {
    copytrace: PathBuf,
    tier: Tier,
    quick: bool,
    nginx: Option<PathBuf>,
    packages: Option<PathBuf>,
}

impl Context {
    fn new(arguments: &Arguments, tier: Tier) -> Self {
        Self {
            copytrace: build_step::programs(Profile::Dev).join("copytrace"),
            tier,
            quick: arguments.quick,
            nginx: arguments.nginx.clone(),
            packages: arguments.packages.clone(),
        }
    }
}

/// A check: what must be true, and how it is found out.
struct Check {
    name: &'static str,
    run: fn(&Context) -> Result<()>,
}

/// Why a check cannot be made here.
#[derive(Debug)]
struct Skipped(String);

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skipped {}

/// Where all functions can be probed, and there are a disk and two NICs.
const IN_GUEST: [Check; 13] = [
    Check { name: "all copy sites: a way nobody thought of", run: flows::unknown_way },
    Check { name: "cold cache, NIC: the documents’ copies", run: measure::cold_to_nic },
    Check { name: "one message: exact calls and mode switches", run: measure::single_messages },
    Check { name: "warm cache: no disk DMA", run: measure::warm },
    Check { name: "loopback: no NIC DMA", run: measure::loopback },
    Check { name: "scatter-gather off: one more CPU copy", run: measure::without_scatter_gather },
    Check { name: "scatter-gather is on again", run: measure::scatter_gather_restored },
    Check { name: "hardware breakpoints agree", run: measure::verified },
    Check {
        name: "further strategies: their copies, and hardware breakpoints agree",
        run: measure::further_strategies,
    },
    Check {
        name: "further strategies over loopback: late copies",
        run: measure::further_over_loopback,
    },
    Check { name: "dummy device: zero-copy datagrams, to the end", run: measure::to_dummy },
    Check {
        name: "scatter-gather off: one copy of datagrams, and the kernel says so",
        run: measure::datagrams_without_scatter_gather,
    },
    Check { name: "brokers: copies of a delivered byte", run: brokers::copies },
];

/// Where all functions can be probed, but are not.
const WITHOUT_PROBES: [Check; 2] = [
    Check { name: "further strategies: nothing wrong is derived", run: measure::derived },
    Check { name: "dummy device: zero-copy datagrams, to the end", run: measure::to_dummy },
];

/// Where there are only tracepoints, and no NIC of its own.
const ON_HOST: [Check; 3] = [
    Check { name: "loopback: exact calls, copies marked derived", run: measure::tracepoints },
    Check { name: "brokers: copies of a delivered byte", run: brokers::copies },
    Check { name: "one message: exact calls and mode switches", run: measure::single_messages },
];

/// Any program, in every tier.
const PROGRAMS: [Check; 7] = [
    Check { name: "dd: two copies a byte", run: flows::copy_with_dd },
    Check { name: "a pipeline: children are traced", run: flows::pipeline },
    Check { name: "processes of a moment: no byte lost", run: flows::short_lived_processes },
    Check { name: "nginx, sendfile on: zero-copy", run: flows::nginx_with_sendfile },
    Check { name: "nginx, sendfile off: two copies", run: flows::nginx_without_sendfile },
    Check { name: "nginx, TLS: fell back", run: flows::nginx_with_tls },
    Check { name: "attached in the middle", run: flows::attached },
];

/// What a report can say besides.
const DETAILS: [Check; 4] = [
    Check { name: "stacks: of every copy", run: detail::stacks },
    Check { name: "--per fd", run: detail::descriptors },
    Check { name: "--per thread", run: detail::threads },
    Check { name: "CPU time of the calls", run: detail::costs },
];

/// Programs of others, of which other tools have accounts of their own; in one tier of each kernel.
const FOREIGN: [Check; 8] = [
    Check { name: "cp: one copy in the kernel; /proc/PID/io", run: programs::cp },
    Check { name: "cat | wc: two copies and one; /proc/PID/io", run: programs::cat_and_wc },
    Check { name: "rsync: through a socket; /proc/PID/io", run: programs::rsync },
    Check { name: "curl: receives with one copy", run: programs::curl },
    Check { name: "Python’s http.server: two copies; /proc/PID/io", run: python::http_server },
    Check { name: "Python’s socket.sendfile: zero-copy; ss", run: python::sendfile },
    Check { name: "Redis: one copy each way; ss and /proc/PID/io", run: redis::sets_and_gets },
    Check { name: "PostgreSQL: a sequential scan; /proc/PID/io", run: postgres::scan },
];

/// More than one at once, and what goes away.
const TOGETHER: [Check; 8] = [
    Check { name: "another user’s command", run: together::as_another_user },
    Check { name: "two programs at once", run: together::two_programs },
    Check { name: "three copytrace at once, in two tiers", run: together::two_copytrace },
    Check { name: "attach: SIGHUP", run: together::hang_up_attach },
    Check { name: "attach: SIGKILL", run: together::killed_attach },
    Check { name: "run: SIGHUP", run: together::hang_up_run },
    Check { name: "run: the terminal goes away", run: together::lost_terminal },
    Check { name: "run: SIGKILL", run: together::killed_run },
];

/// What a program that knows the truth says of the report; likewise.
const SOAK: [Check; 8] = [
    Check { name: "soak: processes start and end", run: soak::processes },
    Check {
        name: "soak: connections, many at once and one after the other",
        run: soak::connections,
    },
    Check { name: "soak: descriptors are something else each time", run: soak::descriptors },
    Check { name: "soak: children, threads, exec", run: soak::kin },
    Check { name: "soak: more objects than room", run: soak::no_room_for_objects },
    Check { name: "soak: more counters than room", run: soak::no_room_for_counters },
    Check { name: "soak: killed while it is traced", run: soak::dying },
    Check { name: "soak: gone before it is traced", run: soak::dying_before },
];

/// What has nothing to do with how functions are entered.
const BAD_USE: [Check; 9] = [
    Check { name: "bad use: unknown strategy", run: bad_use::unknown_strategy },
    Check { name: "bad use: no root", run: bad_use::no_root },
    Check { name: "bad use: no BTF", run: bad_use::no_btf },
    Check { name: "bad use: unreachable consumer", run: bad_use::unreachable_consumer },
    Check { name: "bad use: consumer dies", run: bad_use::dying_consumer },
    Check { name: "bad use: full disk", run: bad_use::full_disk },
    Check { name: "bad use: Ctrl-C", run: bad_use::interrupted },
    Check { name: "bad use: SIGKILL", run: bad_use::killed },
    Check { name: "bad use: dummy device", run: bad_use::dummy_device },
];

/// Runs the checks and prints a line for each; the last line sums up.
pub fn main(arguments: &Arguments) -> Result<u8> {
    let mut run =
        Run { only: &arguments.only, still_to_skip: arguments.skip, tally: Tally::default() };
    for &tier in &arguments.tiers {
        let context = Context::new(arguments, tier);
        run.all(if tier == Tier::Tracepoint { &ON_HOST } else { &IN_GUEST }, &context);
        run.all(&PROGRAMS, &context);
        run.all(&DETAILS, &context);
    }
    if let Some(&tier) = arguments.tiers.first() {
        // What they show of a kernel does not depend on how its functions are entered.
        let context = Context::new(arguments, tier);
        run.all(&FOREIGN, &context);
        run.all(&TOGETHER, &context);
        run.all(&SOAK, &context);
    }
    if let Some(&tier) = arguments.tiers.iter().find(|&&tier| tier != Tier::Tracepoint) {
        let context = Context::new(arguments, tier);
        run.all(&WITHOUT_PROBES, &Context { tier: Tier::Tracepoint, ..context.clone() });
        run.all(&BAD_USE, &context);
    }
    println!("{}", run.tally);
    Ok(run.tally.status())
}

/// The checks that are to be made, and how they went.
struct Run<'a> {
    only: &'a [String],
    still_to_skip: u32,
    tally: Tally,
}

impl Run<'_> {
    fn all(&mut self, checks: &[Check], context: &Context) {
        for check in checks {
            if !self.wants(check.name) {
                continue;
            }
            if self.still_to_skip > 0 {
                self.still_to_skip -= 1;
                continue;
            }
            self.make(check, context);
        }
    }

    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|word| name.contains(word))
    }

    fn make(&mut self, check: &Check, context: &Context) {
        let since = Instant::now();
        let result = (check.run)(context);
        let name = format!("{}: {}", context.tier.name(), check.name);
        match result {
            Err(error) if error.is::<Skipped>() => self.tally.skip(&name, &error.to_string()),
            result => self.tally.record(&name, since.elapsed(), result.err().as_ref()),
        }
    }
}
