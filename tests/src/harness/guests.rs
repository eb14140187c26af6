//! A check in a guest.

use anyhow::{Error, Result};
use xtask::KernelVersion;
use xtask::guest::death::Death;
use xtask::guest::protocol::Request;
use xtask::guest::serving::{Finished, Guest, Lost};
use xtask::say::note;
use xtask::setup::Consent;
use xtask::vm::{self, Hardware, Nic, Prepared};

use super::place::{command, outcome, with_output};
use crate::check::{Check, Context, Outcome};
use crate::{in_place, pace};

/// How much longer than the check itself the guest may take to say what came of it, in seconds of the
/// usual machine: it may hang as a whole.
const GRACE: u64 = 60;

/// What came of a check, and the guest, if it can be used again.
type Made = (Outcome, Option<Guest>);

/// A guest that can be booted.
pub fn prepare(kernel: KernelVersion, consent: Consent) -> Result<Prepared> {
    let modules = vm::FOR_STRATEGIES.into_iter().chain(vm::FOR_CHECKS).map(str::to_owned);
    Prepared::new(&Hardware { kernel, nic: Nic::E1000e, modules: modules.collect() }, consent)
}

fn boot(kernel: KernelVersion) -> Result<Guest> {
    let prepared = prepare(kernel, Consent::Withheld)?;
    let description = prepared.description.clone();
    let guest = Guest::boot(prepared)?;
    note(&format!("guest: {description}, booted in {:.1} s", guest.boot_time.as_secs_f64()));
    Ok(guest)
}

/// Makes a check in a guest that is there, or in a new one. If the emulator fails, another guest makes
/// it again: that says nothing of what is checked.
pub fn run(
    kernel: KernelVersion,
    guest: Option<Guest>,
    check: &Check,
    context: &Context,
) -> Result<Made> {
    match run_once(kernel, guest, check, context) {
        Err(error) if error.downcast_ref().is_some_and(Death::is_of_emulator) => {
            note(&format!("{kernel}: another guest makes “{}” again: {error:#}", check.name));
            run_once(kernel, None, check, context)
        }
        made => made,
    }
}

fn run_once(
    kernel: KernelVersion,
    guest: Option<Guest>,
    check: &Check,
    context: &Context,
) -> Result<Made> {
    let mut guest = match guest {
        Some(guest) => guest,
        None => boot(kernel)?,
    };
    let pace = pace::of_boot(guest.boot_time);
    let context = Context { in_guest: true, pace, ..context.clone() };
    let environment = vm::environment(vec![("COPYTRACE_WHERE".into(), "vm".into())])?;
    let request = Request::new(&command(check, &context)?, environment, None, false)?;
    let time = std::time::Duration::from_secs(in_place::DEADLINE + GRACE).mul_f64(pace);
    match guest.run(&request, time)? {
        Ok(Finished { status, stdout, stderr }) => {
            let status = format!("exit status {status}");
            let outcome = outcome(&stdout, &stderr, &status);
            // What a check leaves behind when it fails is unknown.
            let keep = !matches!(outcome, Outcome::Failed(_));
            Ok((outcome, keep.then_some(guest)))
        }
        Err(Lost::Died(death)) => Err(Error::new(death)),
        Err(Lost::TimedOut(stderr)) => {
            let what =
                format!("the guest did not answer in {} s, and was switched off", time.as_secs());
            Ok((with_output(Outcome::Failed(what), &stderr), None))
        }
    }
}
