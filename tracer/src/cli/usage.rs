//! Arguments that contradict each other, or that would have no effect: an error before anything is done,
//! with status 2, as clap has it for those that it knows.

use clap::{CommandFactory as _, error::ErrorKind};
use tracer::{flows::group::Per, kernel::Breadth, report::flows::Format};

use super::{
    Cli,
    kernel::{Sites, TierChoice},
};

/// Ends the program: what was said for this verb makes no sense.
pub fn refuse(verb: &str, kind: ErrorKind, why: &str) -> ! {
    let mut copytrace = Cli::command();
    copytrace.build();
    match copytrace.find_subcommand_mut(verb) {
        Some(verb) => verb.error(kind, why).exit(),
        None => copytrace.error(kind, why).exit(),
    }
}

/// Refuses an option that would have no effect, for this reason.
pub fn refuse_useless(verb: &str, is_useless: bool, why: &str) {
    if is_useless {
        refuse(verb, ErrorKind::ArgumentConflict, why);
    }
}

/// Refuses to say what tells rows apart where none are shown.
pub fn check_rows(verb: &str, per: Option<Per>, format: Format) {
    refuse_useless(
        verb,
        per.is_some() && format.is_of_stacks(),
        "--per has no effect on a --format of stacks, which shows no rows",
    );
}

/// Refuses to look for calls everywhere and to probe none.
pub fn check_sites(verb: &str, sites: Sites, tier: TierChoice) {
    let everywhere = sites.breadth() == Breadth::Everywhere;
    refuse_useless(
        verb,
        everywhere && tier == TierChoice::Tracepoint,
        "--all-copy-sites has no effect with --tier tracepoint, which probes no calls",
    );
}
