//! Makes checks on this machine and in guests, and reports as `cargo test` does.

mod guests;
mod host;
mod kept;
mod place;
mod plan;
mod schedule;
mod slowest;

use std::ffi::OsString;
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, bail};
use kept::Kept;
use libtest_mimic::{Completion, Failed, Trial};
use plan::{Plan, Planned, Work};
use schedule::{Place, Schedule, Turn};
use slowest::Times;
use xtask::build_step::programs;
use xtask::cache::Cache;
use xtask::check::Done;
use xtask::consent::Consent;
use xtask::guest::serving::Guest;
use xtask::say::note;
use xtask::setup;
use xtask::test::Selection;

use crate::check::{Check, Context, Outcome, Tier};
use crate::checks;
use crate::pages::{Page, Pages};
use crate::table::{MAIN_KERNEL, OTHER_KERNELS};

/// `tests run`
#[derive(clap::Args)]
pub struct Arguments {
    /// Install nothing: what is missing is an error
    #[arg(long)]
    no_setup: bool,
    #[command(flatten)]
    selection: Selection,
}

/// State shared by all trials.
struct Shared {
    schedule: Schedule<Guest>,
    times: Times,
    pages: Pages,
    context: Context,
}

/// Makes the selected checks.
pub fn main(arguments: &Arguments) -> Result<ExitCode> {
    let Arguments { no_setup, selection } = arguments;
    let Plan { wanted, others } = Plan::new(selection);
    let report = libtest_mimic::Arguments {
        list: selection.list,
        // The filters were applied already: the others are counted as filtered out.
        exact: true,
        skip: others.clone(),
        // Each trial waits for its turn in its own thread.
        test_threads: Some(wanted.len().max(2)),
        ..libtest_mimic::Arguments::default()
    };
    let others = others.into_iter().map(|name| Trial::test(name, || Ok(())));
    if selection.list {
        let wanted = wanted.into_iter().map(|planned| Trial::test(planned.name, || Ok(())));
        return Ok(libtest_mimic::run(&report, wanted.chain(others).collect()).exit_code());
    }
    let kept = Kept::keep(&programs(selection.profile()).join("copytrace"))?;
    let context = prepare(Consent::unless(*no_setup), selection, &wanted, &kept)?;
    let (possible, mut trials) = sort_out(wanted, Consent::unless(*no_setup));
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let schedule = Schedule::new(cores, possible.iter().map(|planned| planned.place));
    let shared =
        Arc::new(Shared { schedule, times: Times::default(), pages: Pages::default(), context });
    for (number, planned) in possible.into_iter().enumerate() {
        let shared = Arc::clone(&shared);
        let name = planned.name.clone();
        trials.push(Trial::ignorable_test(name, move || trial(&shared, number, &planned)));
    }
    let conclusion = libtest_mimic::run(&report, trials.into_iter().chain(others).collect());
    eprint!("{}", shared.times.summary());
    shared.pages.write()?;
    Ok(conclusion.exit_code())
}

/// Finds or downloads the other programs that are traced.
fn prepare(
    consent: Consent,
    selection: &Selection,
    wanted: &[Planned],
    kept: &Kept,
) -> Result<Context> {
    let cache = Cache::locate()?;
    if let Err(error) = setup::guest::programs_for_tests(&cache, consent) {
        note(&format!("some checks will fail: {error:#}"));
    }
    Ok(Context {
        copytrace: kept.copytrace(),
        tests: kept.tests(),
        tier: Tier::Tracepoint,
        quick: !selection.all,
        nginx: setup::guest::nginx(&cache),
        packages: cache.all_packages(),
        brokers: real_brokers(wanted, consent),
        in_guest: false,
        pace: 1.0,
    })
}

/// Finds or downloads Kafka and RocketMQ, which are large, if they are needed.
fn real_brokers(wanted: &[Planned], consent: Consent) -> Result<Vec<OsString>, String> {
    let is_one = |name: &str| checks::real_brokers::CHECKS.iter().any(|check| check.name == name);
    let mut wanted = wanted.iter();
    if !wanted.any(|it| matches!(it.work, Work::Check(check, _) if is_one(check.name))) {
        return Err("they are not wanted".to_owned());
    }
    let flags = setup::brokers::flags(&[], consent).map_err(|error| format!("{error:#}"));
    flags.inspect_err(|error| note(&format!("some checks will be skipped: {error}")))
}

/// The trials that can be made here, and failing ones with the reason for those that cannot.
fn sort_out(wanted: Vec<Planned>, consent: Consent) -> (Vec<Planned>, Vec<Trial>) {
    let mut trials = Vec::new();
    let mut without: Vec<(Place, String)> = Vec::new();
    if let Some(reason) = host::why_not() {
        without.push((Place::Host, reason.to_owned()));
    }
    for kernel in std::iter::once(MAIN_KERNEL).chain(OTHER_KERNELS) {
        let place = Place::Guest(kernel);
        if !wanted.iter().any(|planned| planned.place == place) {
            continue;
        }
        if let Err(error) = guests::prepare(kernel, consent) {
            // One clear failure, instead of one for each check.
            let name = format!("{kernel}: a guest can be had");
            let reason = format!("there is no guest with Linux {kernel}: {error:#}");
            without.push((place, format!("see “{name}”")));
            trials.push(Trial::test(name, move || Err(reason.into())));
        }
    }
    let mut possible = Vec::new();
    for planned in wanted {
        match without.iter().find(|(place, _)| *place == planned.place) {
            None => possible.push(planned),
            Some((_, reason)) => {
                let ignored = Completion::ignored_with(reason);
                trials.push(Trial::ignorable_test(planned.name, move || Ok(ignored)));
            }
        }
    }
    (possible, trials)
}

/// Waits for the trial's turn, and makes it.
fn trial(shared: &Shared, number: usize, planned: &Planned) -> Result<Completion, Failed> {
    let mut turn = shared.schedule.turn(number);
    let since = Instant::now();
    let outcome = outcome(shared, &mut turn, planned);
    shared.times.add(planned, since.elapsed(), matches!(outcome, Outcome::Failed(_)));
    match outcome {
        Outcome::Passed => Ok(Completion::Completed),
        Outcome::Skipped(reason) => Ok(Completion::ignored_with(reason)),
        Outcome::Failed(why) => Err(why.into()),
    }
}

fn outcome(shared: &Shared, turn: &mut Turn<'_, Guest>, planned: &Planned) -> Outcome {
    let made = match planned.work {
        Work::Step(step) => (step.run)().map(|done| match done {
            Done::Made => Outcome::Passed,
            Done::Skipped(reason) => Outcome::Skipped(reason),
        }),
        Work::Check(check, tier) => {
            let context = Context { tier, ..shared.context.clone() };
            check_in(turn, planned.place, check, &context)
        }
        Work::Page(page, tier) => print_in(shared, turn, planned, page, tier),
    };
    made.unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")))
}

fn check_in(
    turn: &mut Turn<'_, Guest>,
    place: Place,
    check: &Check,
    context: &Context,
) -> Result<Outcome> {
    let Place::Guest(kernel) = place else { return host::run(check, context) };
    let (outcome, guest) = guests::run(kernel, turn.guest.take(), check, context)?;
    turn.guest = guest;
    Ok(outcome)
}

/// Has copytrace print a page's content for a tier.
fn print_in(
    shared: &Shared,
    turn: &mut Turn<'_, Guest>,
    planned: &Planned,
    page: &Page,
    tier: Tier,
) -> Result<Outcome> {
    let Place::Guest(kernel) = planned.place else { bail!("pages are of guests") };
    let command = page.command(&Context { tier, ..shared.context.clone() })?;
    let (printed, guest) = guests::print(kernel, turn.guest.take(), &planned.name, &command)?;
    turn.guest = guest;
    Ok(printed.and_then(|stdout| shared.pages.add(page, tier, stdout)).into())
}
