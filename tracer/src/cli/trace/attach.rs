//! `copytrace attach`: traces running processes, and does not change them.

use std::{
    collections::BTreeSet,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::bail;
use tracer_ledger::Warning;

use super::{
    Meanwhile, Results, conclude,
    recorder::Recorder,
    signals::{self, Signals},
    target::Target,
    writer::Writer,
};
use crate::cli::{origin, output::Destination, say};

/// Arguments of `copytrace attach`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "copytrace attach [OPTIONS] <--pid|--cgroup|--comm|--container|--all>")]
pub struct Options {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    common: super::Options,
    /// Trace for this time, such as 10s or 2m [default: until Ctrl-C, or until the processes end]
    #[arg(short, long, value_name = "TIME", value_parser = super::duration)]
    duration: Option<Duration>,
}

/// Runs the verb. Exit status 0: there is a report, also after Ctrl-C, and no rule is broken.
pub fn run(options: &Options, verbose: bool) -> anyhow::Result<ExitCode> {
    options.common.check("attach");
    let results = Results::prepare(&options.common, Destination::Stdout)?;
    let (runtime, mut signals) = signals::catch()?;
    let origin = origin::now(false);
    let (written, expectations) = runtime.block_on(async {
        let asked = Instant::now();
        let (target, notes) = options.target.resolve()?;
        notes.iter().for_each(|note| say(note));
        target.first()?;
        let mut recorder = Recorder::start(&options.common, target.wanted(), origin, verbose)?;
        let mut known = BTreeSet::new();
        // Children started during the attach, or while processes are added, count too.
        let mut any = false;
        while add(&mut recorder, target.processes()?, &mut known)? {
            any = true;
        }
        let untraced = target.children_left_out(&known);
        if !any && !target.can_grow() {
            bail!("{} ended before it could be traced; see `ps`", target.name());
        }
        let jvms = recorder.look_for_jvms()?;
        if let Some(reason) = jvms.refusal(&known).filter(|_| !target.can_grow()) {
            bail!("{reason}");
        }
        recorder.give_up_privileges(results.are_files(), false);
        let left_out = left_out(&untraced);
        let blind_spot = target.blind_spot(options.common.takes_stacks());
        if !options.common.quiet {
            say(&begun(&target.name(), asked.elapsed()));
            for warning in left_out.iter().chain(&blind_spot) {
                say(&format!("copytrace: {warning}"));
            }
            target.nobody_yet().filter(|_| !any).iter().for_each(|note| say(note));
        }
        left_out.into_iter().chain(blind_spot).for_each(|warning| recorder.warn(warning));
        let mut writer = Writer::start(results);
        follow(options, &target, &mut signals, &mut recorder, &mut known, &mut writer).await?;
        recorder.finish();
        let recording = recorder.recording(&target.name());
        let expectations = options.common.judge(&recording);
        let written = writer.finish(recording, expectations.clone(), &mut signals).await;
        anyhow::Ok((written, expectations))
    })?;
    let judged = conclude(&expectations, options.common.quiet);
    written.map(|()| judged)
}

/// The message when tracing begins: everything from now on is counted. `after`: the time of attaching.
fn begun(target: &str, after: Duration) -> String {
    let seconds = after.as_secs_f64();
    format!("copytrace: tracing {target}, attached in {seconds:.2} s; Ctrl-C ends it")
}

/// A warning about running children that are not traced, if there are any.
fn left_out(untraced: &BTreeSet<u32>) -> Option<Warning> {
    let pids: Vec<_> = untraced.iter().copied().collect();
    (!pids.is_empty()).then_some(Warning::ChildrenLeftOut { pids })
}

/// Traces those of the processes that are not traced yet; returns whether there was one.
fn add(
    recorder: &mut Recorder,
    found: BTreeSet<u32>,
    known: &mut BTreeSet<u32>,
) -> anyhow::Result<bool> {
    let followed = recorder.session().followed()?;
    let mut any = false;
    for pid in &found {
        if !known.contains(pid) && !followed.contains(pid) {
            any |= recorder.follow(*pid)?;
        }
    }
    *known = found;
    Ok(any)
}

async fn follow(
    options: &Options,
    target: &Target,
    signals: &mut Signals,
    recorder: &mut Recorder,
    known: &mut BTreeSet<u32>,
    writer: &mut Writer,
) -> anyhow::Result<()> {
    let mut meanwhile = Meanwhile::start(&options.common, !options.common.quiet);
    let started = Instant::now();
    loop {
        let over = tokio::select! {
            _ = tokio::time::sleep(recorder.pause()) => false,
            _ = signals.next() => true,
        };
        recorder.tick();
        let late = options.duration.is_some_and(|duration| started.elapsed() >= duration);
        if over || late || recorder.has_failed() {
            return Ok(());
        }
        if target.can_grow() {
            add(recorder, target.processes()?, known)?;
        } else if recorder.session().followed()?.is_empty() {
            return Ok(());
        }
        meanwhile.show(recorder, writer, &target.name());
    }
}
