//! Arguments that contradict each other, or that would have no effect: an error before anything is done,
//! with status 2, as clap has it for those that it knows.

use clap::{
    CommandFactory as _, Error,
    error::{ContextKind, ContextValue, ErrorKind},
};
use tracer::witness::Breadth;

use super::{
    Cli,
    kernel::{Sites, TierChoice},
    say,
};

/// An option that `demo` had, and what to type instead.
const SCENARIO: &str = "--scenario";
const ITS_VERB: &str = "the brokers are a verb of their own: `copytrace brokers`";

/// The error, with a hint where an option has become a verb.
pub fn hinting(mut error: Error) -> Error {
    let unknown = error.get(ContextKind::InvalidArg);
    if unknown == Some(&ContextValue::String(SCENARIO.to_owned())) {
        let hint = ContextValue::StyledStrs(vec![ITS_VERB.into()]);
        error.insert(ContextKind::Suggested, hint);
    }
    error
}

/// Ends the program: what was said for this verb makes no sense.
pub fn refuse(verb: &str, kind: ErrorKind, why: &str) -> ! {
    let mut copytrace = Cli::command();
    copytrace.build();
    match copytrace.find_subcommand_mut(verb) {
        Some(verb) => exit(&verb.error(kind, why)),
        None => exit(&copytrace.error(kind, why)),
    }
}

/// Ends the program as clap does, with an error in the form that all errors have.
pub fn exit(error: &Error) -> ! {
    let text = error.render().to_string();
    let Some(why) = text.strip_prefix("error: ") else { error.exit() };
    say(&format!("copytrace: {}", why.trim_end()));
    std::process::exit(error.exit_code())
}

/// Refuses an option that would have no effect, for this reason.
pub fn refuse_useless(verb: &str, is_useless: bool, why: &str) {
    if is_useless {
        refuse(verb, ErrorKind::ArgumentConflict, why);
    }
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

/// Refuses two uses of the hardware breakpoints.
pub fn check_breakpoints(verb: &str, verify: bool, jvm_copies: bool) {
    refuse_useless(
        verb,
        verify && jvm_copies,
        "--verify takes all four hardware breakpoints of a CPU, and --jvm-copies takes one for each virtual \
         machine: trace twice, with one of them each time",
    );
}
