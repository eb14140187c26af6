//! A check in a guest.

use std::ffi::OsString;
use std::time::Duration;

use anyhow::{Error, Result, anyhow};
use xtask::KernelVersion;
use xtask::consent::Consent;
use xtask::guest::death::Death;
use xtask::guest::protocol::Request;
use xtask::guest::serving::{Finished, Guest, Lost};
use xtask::say::note;
use xtask::vm::{self, Hardware, Nic, Prepared};

use super::place::{command, outcome, with_output};
use crate::check::{Check, Context, Outcome};
use crate::{in_place, pace};

/// The time a guest has to report the outcome after the check's own limit, in seconds of the usual
/// machine: it may hang as a whole.
const GRACE: u64 = 60;

/// The outcome of a check, and the guest, if it can be used again.
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

/// Makes a check.
pub fn run(
    kernel: KernelVersion,
    guest: Option<Guest>,
    check: &Check,
    context: &Context,
) -> Result<Made> {
    in_guest(kernel, guest, check.name, |mut guest| {
        let pace = pace::of_boot(guest.boot_time);
        let context = Context { in_guest: true, pace, ..context.clone() };
        let outcome = match ask(&mut guest, &command(check, &context)?)? {
            Answer::Finished(Finished { status, stdout, stderr }) => {
                outcome(&stdout, &stderr, &format!("exit status {status}"))
            }
            Answer::None { why, stderr } => {
                return Ok((with_output(Outcome::Failed(why), &stderr), None));
            }
        };
        // The state that a failed check leaves behind is unknown.
        let keep = !matches!(outcome, Outcome::Failed(_));
        Ok((outcome, keep.then_some(guest)))
    })
}

/// A command's output, and the guest, if it can be used again.
type Printed = (Result<Vec<u8>>, Option<Guest>);

/// Runs a command for its output.
pub fn print(
    kernel: KernelVersion,
    guest: Option<Guest>,
    what: &str,
    command: &[OsString],
) -> Result<Printed> {
    in_guest(kernel, guest, what, |mut guest| match ask(&mut guest, command)? {
        Answer::Finished(Finished { status: 0, stdout, .. }) => Ok((Ok(stdout), Some(guest))),
        Answer::Finished(Finished { status, stderr, .. }) => {
            let said = String::from_utf8_lossy(&stderr);
            Ok((Err(anyhow!("exit status {status}: {}", said.trim())), Some(guest)))
        }
        Answer::None { why, .. } => Ok((Err(Error::msg(why)), None)),
    })
}

/// Runs `work` in an idle guest, or in a new one. If the emulator fails, it is repeated in another guest:
/// that is no fault of the code under test.
fn in_guest<T>(
    kernel: KernelVersion,
    guest: Option<Guest>,
    what: &str,
    work: impl Fn(Guest) -> Result<T>,
) -> Result<T> {
    match guest.map_or_else(|| boot(kernel), Ok).and_then(&work) {
        Err(error) if error.downcast_ref().is_some_and(Death::is_of_emulator) => {
            note(&format!("{kernel}: another guest makes “{what}” again: {error:#}"));
            boot(kernel).and_then(work)
        }
        done => done,
    }
}

/// A guest's answer to a command.
enum Answer {
    Finished(Finished),
    /// The guest was switched off.
    None {
        why: String,
        stderr: Vec<u8>,
    },
}

fn ask(guest: &mut Guest, command: &[OsString]) -> Result<Answer> {
    let environment = vm::environment(vec![("COPYTRACE_WHERE".into(), "vm".into())])?;
    let request = Request::new(command, environment, None, false)?;
    let pace = pace::of_boot(guest.boot_time);
    let time = Duration::from_secs(in_place::DEADLINE + GRACE).mul_f64(pace);
    match guest.run(&request, time)? {
        Ok(finished) => Ok(Answer::Finished(finished)),
        Err(Lost::Died(death)) => Err(Error::new(death)),
        Err(Lost::TimedOut(stderr)) => {
            let why =
                format!("the guest did not answer in {} s, and was switched off", time.as_secs());
            Ok(Answer::None { why, stderr })
        }
    }
}
