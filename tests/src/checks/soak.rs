//! Attribution under strain: a program logs its own transfers, and the report must agree on every byte,
//! or call it unknown.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use crate::check::{Check, Context, Tier};
use crate::pace;
use crate::processes::ProcessStatus;
use crate::support::report::Warning;
use crate::support::traced::{patience, until, wait_until};

/// The program's own log against the report.
pub const CHECKS: [Check; 8] = [
    Check { name: "soak: more counters than room", run: no_room_for_counters },
    Check { name: "soak: more objects than room", run: no_room_for_objects },
    Check { name: "soak: connections, many at once and one after the other", run: connections },
    Check { name: "soak: processes start and end", run: processes },
    Check { name: "soak: descriptors are something else each time", run: descriptors },
    Check { name: "soak: children, threads, exec", run: kin },
    Check { name: "soak: killed while it is traced", run: dying },
    Check { name: "soak: gone before it is traced", run: dying_before },
];

/// The time limit of one program, under emulation and with all probes, in seconds of the usual machine.
const PATIENCE: u64 = 300;

/// The number of sleeps after which attach has checked several times whether its target is still there.
const NAPS: u64 = 20;

/// More than copytrace ever needs: its maps and its ledger are bounded.
const MOST_MEMORY_MIB: u64 = 400;

/// The amount of work: less than a minute on this machine, or on an emulated processor.
struct Size {
    processes: usize,
    open: usize,
    churn: usize,
    rounds: usize,
    kin: usize,
}

impl Size {
    fn of(context: &Context) -> Self {
        match context.tier {
            Tier::Tracepoint => {
                Self { processes: 3000, open: 9_900, churn: 3000, rounds: 500, kin: 30 }
            }
            _ => Self { processes: 150, open: 500, churn: 150, rounds: 60, kin: 4 },
        }
    }
}

/// One end of a flow: kind and name.
type End = (String, String);
/// Process, source and destination.
type Which = (u32, End, End);

/// A line of the program's log.
#[derive(Deserialize)]
struct Line {
    pid: u32,
    source: End,
    destination: End,
    bytes: u64,
    late: u64,
}

#[derive(Deserialize)]
struct Document {
    lost_events: u64,
    warnings: Vec<Warning>,
    total: Total,
    flows: Vec<Row>,
}

#[derive(Deserialize)]
struct Total {
    payload_bytes: u64,
}

#[derive(Deserialize)]
struct Row {
    source: Named,
    destination: Named,
    process: Owner,
    payload_bytes: u64,
    movements: Vec<Movement>,
}

#[derive(Deserialize)]
struct Named {
    kind: String,
    name: String,
}

#[derive(Deserialize)]
struct Owner {
    pid: Option<u32>,
}

#[derive(Deserialize)]
struct Movement {
    from: String,
    to: String,
    by: String,
    bytes: u64,
}

impl Row {
    fn which(&self) -> Which {
        let end = |end: &Named| (end.kind.clone(), end.name.clone());
        (self.process.pid.unwrap_or(0), end(&self.source), end(&self.destination))
    }

    fn bytes(&self, moved: impl Fn(&Movement) -> bool) -> u64 {
        self.movements.iter().filter(|it| moved(it)).map(|it| it.bytes).sum()
    }
}

/// A folder for one scenario.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("soak-").tempdir_in("/var/tmp")?;
        std::fs::create_dir(folder.path().join("files"))?;
        Ok(Self { folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `copytrace run` of a scenario, whose log the scenario writes.
    fn command(
        &self,
        context: &Context,
        scenario: &str,
        arguments: &[(&str, usize)],
    ) -> Result<Command> {
        let mut command = Command::new(&context.copytrace);
        command.args(["-vv", "run", "--quiet", "--format", "json", "--per", "connection"]);
        command.args(["--tier", context.tier.name(), "--output"]).arg(self.path("report"));
        command.arg("--").arg(std::env::current_exe()?).args(["soak", scenario]);
        command.arg("--folder").arg(self.path("files")).arg("--truth").arg(self.path("truth"));
        for (name, value) in arguments {
            command.arg(format!("--{name}")).arg(value.to_string());
        }
        command.stdout(Stdio::piped()).stderr(File::create(self.path("log"))?);
        Ok(command)
    }

    /// The last message about `of` in copytrace's log.
    fn said_last(&self, of: &str) -> String {
        let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
        log.lines().rfind(|line| line.contains(of)).unwrap_or("its log says no more").to_owned()
    }

    /// The report of a run in which nothing was lost.
    fn report(&self) -> Result<Document> {
        let text = std::fs::read_to_string(self.path("report"))?;
        let document: Document = serde_json::from_str(&text).context("the report is no JSON")?;
        let lost = document.lost_events;
        ensure!(lost == 0, "{lost} events were lost: {}", self.said_last("lost until now"));
        Ok(document)
    }

    fn truth(&self) -> Result<Vec<Line>> {
        let text = std::fs::read_to_string(self.path("truth"))?;
        text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// Whether an end is one that the program's log would have.
    fn concerns(&self, (kind, name): &End) -> bool {
        match kind.as_str() {
            "file" => Path::new(name).starts_with(self.path("files")),
            kind => ["tcp", "pipe", "unix"].contains(&kind),
        }
    }
}

/// Runs a scenario to its end, and prints its output and the peak memory of copytrace.
fn run(
    place: &Place,
    context: &Context,
    scenario: &str,
    arguments: &[(&str, usize)],
) -> Result<()> {
    let mut command = place.command(context, scenario, arguments)?;
    let mut copytrace = command.stdin(Stdio::null()).spawn()?;
    let (status, memory) = wait(&mut copytrace).with_context(|| place.said_last(""))?;
    let mut said = String::new();
    if let Some(mut output) = copytrace.stdout.take() {
        std::io::Read::read_to_string(&mut output, &mut said)?;
    }
    ensure!(status.success(), "copytrace ended with {status}: {said}{}", place.said_last(""));
    eprintln!("        {scenario}: {}{memory} MiB for copytrace", said.replace('\n', ", "));
    ensure!(memory < MOST_MEMORY_MIB, "copytrace took {memory} MiB");
    Ok(())
}

/// Waits for a process to end; also returns its peak memory in MiB.
fn wait(process: &mut Child) -> Result<(ExitStatus, u64)> {
    let (limit, mut memory) = (Instant::now() + pace::seconds(PATIENCE), 0);
    loop {
        memory = peak_memory(process.id()).unwrap_or(memory);
        if let Some(status) = process.try_wait()? {
            return Ok((status, memory));
        }
        if Instant::now() > limit {
            process.kill()?;
            process.wait()?;
            bail!("it did not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// `VmHWM`, in MiB.
fn peak_memory(pid: u32) -> Option<u64> {
    Some(status(pid, "VmHWM:")?.strip_suffix(" kB")?.parse::<u64>().ok()? / 1024)
}

/// The number of a process's sleeps.
fn naps(pid: u32) -> u64 {
    status(pid, "voluntary_ctxt_switches:").and_then(|naps| naps.parse().ok()).unwrap_or(0)
}

/// A line of `/proc/PID/status`.
fn status(pid: u32, name: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().to_owned())
}

/// Every flow in the program's log has its bytes, and there is no other.
fn check(place: &Place, context: &Context) -> Result<()> {
    check_but_for_links(place, context, 0)
}

/// The same, except that `per_cent` of a hundred flows may have lost their link; see [`unlink`].
fn check_but_for_links(place: &Place, context: &Context, percent: usize) -> Result<()> {
    let document = place.report()?;
    ensure!(document.warnings.is_empty(), "{:?}", document.warnings);
    let mut truth: BTreeMap<Which, (u64, u64)> = BTreeMap::new();
    for Line { pid, source, destination, bytes, late } in place.truth()? {
        let known = truth.entry((pid, source, destination)).or_default();
        *known = (known.0 + bytes, known.1 + late);
    }
    ensure!(!truth.is_empty(), "there is no truth");
    let unlinked = unlink(&mut truth, &document);
    ensure!(
        unlinked * 100 <= truth.len() * percent,
        "{unlinked} of {} links are lost",
        truth.len()
    );
    let mut wrong = Vec::new();
    for row in document.flows.iter().filter(|row| row.payload_bytes > 0) {
        let which = row.which();
        if !(place.concerns(&which.1) || place.concerns(&which.2)) {
            continue;
        }
        match truth.remove(&which) {
            Some((bytes, late)) => wrong.extend(differences(context, row, bytes, late)),
            None => wrong.push(format!("{which:?}: {} bytes of nothing", row.payload_bytes)),
        }
    }
    let missing = truth.iter().map(|(which, (bytes, _))| format!("{which:?}: {bytes} are missing"));
    wrong.extend(missing);
    let shown = wrong.iter().take(6).cloned().collect::<Vec<_>>().join("\n");
    ensure!(wrong.is_empty(), "{} flows are wrong:\n{shown}", wrong.len());
    Ok(())
}

/// If two threads of a process read at the same moment, one of them may lose its link: the report then
/// has the bytes read and the bytes written as two flows. Splits such flows of the truth likewise, and
/// returns their number.
fn unlink(truth: &mut BTreeMap<Which, (u64, u64)>, document: &Document) -> usize {
    let seen: BTreeMap<Which, u64> =
        document.flows.iter().map(|row| (row.which(), row.payload_bytes)).collect();
    let memory = || ("memory".to_owned(), String::new());
    let links = truth.keys().filter(|which| !seen.contains_key(which));
    let links: Vec<Which> =
        links.filter(|it| it.1 != memory() && it.2 != memory()).cloned().collect();
    let mut unlinked = 0;
    for link in links {
        let (pid, source, destination) = link.clone();
        let halves = [(pid, source, memory()), (pid, memory(), destination)];
        let bytes = truth[&link];
        let is_whole = |half: &Which| seen.get(half) == Some(&bytes.0) && !truth.contains_key(half);
        if halves.iter().all(is_whole) {
            truth.remove(&link);
            truth.extend(halves.map(|half| (half, bytes)));
            unlinked += 1;
        }
    }
    unlinked
}

/// The differences between a row and the truth.
fn differences(context: &Context, row: &Row, bytes: u64, late: u64) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut compare = |what: &str, seen: u64, known: u64| {
        if seen != known {
            wrong.push(format!("{:?}: {seen} {what} bytes, not {known}", row.which()));
        }
    };
    compare("payload", row.payload_bytes, bytes);
    // Where copies are seen: each byte is copied once into the program's memory, and once out of it.
    let ends = [&row.source.kind, &row.destination.kind];
    if context.tier != Tier::Tracepoint && !ends.contains(&&"other".to_owned()) {
        let is_late = |it: &Movement| (it.from.as_str(), it.to.as_str()) == ("socket", "kernel");
        let copied = row.bytes(|it| it.by == "cpu" && !is_late(it));
        let calls = if ends.contains(&&"memory".to_owned()) { 1 } else { 2 };
        compare("copied", copied, calls * (bytes - late));
        compare("late", row.bytes(is_late), late);
    }
    wrong
}

fn processes(context: &Context) -> Result<()> {
    let place = Place::new()?;
    let size = [("processes", Size::of(context).processes)];
    run(&place, context, "churn", &size)?;
    check(&place, context)
}

fn connections(context: &Context) -> Result<()> {
    let place = Place::new()?;
    let size = Size::of(context);
    let size = [("open", size.open), ("churn", size.churn)];
    run(&place, context, "connections", &size)?;
    check(&place, context)
}

fn descriptors(context: &Context) -> Result<()> {
    let place = Place::new()?;
    let size = [("rounds", Size::of(context).rounds)];
    run(&place, context, "descriptors", &size)?;
    // Its two threads read at the same moment.
    check_but_for_links(&place, context, 1)
}

fn kin(context: &Context) -> Result<()> {
    let place = Place::new()?;
    run(&place, context, "kin", &[("rounds", Size::of(context).kin)])?;
    check(&place, context)
}

fn signal(pid: u32, signal: libc::c_int) -> Result<()> {
    // SAFETY: kill only sends a signal, to a child that has not been waited for.
    let sent = unsafe { libc::kill(i32::try_from(pid)?, signal) };
    ensure!(sent == 0, "cannot signal process {pid}");
    Ok(())
}

/// Has a program use `objects` objects while copytrace is stopped and reads no counters.
fn strain(context: &Context, objects: usize) -> Result<(Place, Document)> {
    let place = Place::new()?;
    let mut command = place.command(context, "strain", &[("objects", objects)])?;
    let mut copytrace = command.stdin(Stdio::piped()).spawn()?;
    let done = while_stopped(&mut copytrace);
    let (status, _) = wait(&mut copytrace)?;
    done?;
    ensure!(status.success(), "copytrace ended with {status}: {}", place.said_last(""));
    let document = place.report()?;
    Ok((place, document))
}

fn while_stopped(copytrace: &mut Child) -> Result<()> {
    let mut input = copytrace.stdin.take().context("no pipe")?;
    let mut output = BufReader::new(copytrace.stdout.take().context("no pipe")?).lines();
    let mut hear = |word: &str| -> Result<()> {
        let line = output.next().context("it said nothing")??;
        ensure!(line == word, "it said {line}");
        Ok(())
    };
    hear("ready")?;
    signal(copytrace.id(), libc::SIGSTOP)?;
    let done = input.write_all(b"g").map_err(Into::into).and_then(|()| hear("done"));
    signal(copytrace.id(), libc::SIGCONT)?;
    done?;
    Ok(input.write_all(b"g")?)
}

/// Checks that no named pipe has bytes of another. Returns the bytes of the named ones, those of the
/// others, and the truth.
fn named(place: &Place, document: &Document) -> Result<(u64, u64, u64)> {
    let mut truth: BTreeMap<Which, u64> = BTreeMap::new();
    for line in place.truth()? {
        *truth.entry((line.pid, line.source, line.destination)).or_default() += line.bytes;
    }
    let (mut known, mut unknown) = (0, 0);
    for row in document.flows.iter().filter(|row| row.payload_bytes > 0) {
        let which = row.which();
        if which.2.1 == "(unknown)" {
            unknown += row.payload_bytes;
        } else if place.concerns(&which.2) {
            let bytes = truth.get(&which).copied().unwrap_or(0);
            ensure!(
                row.payload_bytes <= bytes,
                "{which:?}: {} bytes, not {bytes}",
                row.payload_bytes
            );
            known += row.payload_bytes;
        }
    }
    Ok((known, unknown, truth.values().sum()))
}

/// Objects whose description found no room are called unknown, and keep their bytes.
fn no_room_for_objects(context: &Context) -> Result<()> {
    let (place, document) = strain(context, 22_000)?;
    let (known, unknown, truth) = named(&place, &document)?;
    eprintln!("        {known} bytes of known pipes, {unknown} of unknown ones");
    ensure!(known + unknown == truth, "{known} and {unknown} are not {truth}");
    ensure!(unknown > 0, "there was room for all: nothing was tested");
    let said = document.warnings.iter().any(|warning| warning.code == "unnamed");
    ensure!(said, "the report does not say so: {:?}", document.warnings);
    ensure!(document.total.payload_bytes >= truth, "the total is smaller");
    Ok(())
}

/// The bytes that the report has in no flow.
fn in_no_flow(document: &Document) -> u64 {
    let warning = document.warnings.iter().find(|warning| warning.code == "in-no-flow");
    warning.map_or(0, |warning| warning.bytes)
}

/// An event without a counter is in no flow, but in the total; nothing is lost.
fn no_room_for_counters(context: &Context) -> Result<()> {
    // Each CPU has room for 65,536 counters. Where copies are seen, each write has one for its call and
    // one for its copy.
    let writes = if context.tier == Tier::Tracepoint { 70_000 } else { 35_000 };
    let objects = writes * std::thread::available_parallelism()?.get();
    let (place, document) = strain(context, objects)?;
    let (known, unknown, truth) = named(&place, &document)?;
    eprintln!("        {known} bytes of known pipes, {unknown} of unknown ones, {truth} in all");
    ensure!(known + unknown < truth, "there was room for all: nothing was tested");
    let missing = truth - known - unknown;
    // There may still be no room when the truth itself is written, and when a byte is read then.
    let said = std::fs::metadata(place.path("truth"))?.len();
    let unplaced = in_no_flow(&document);
    let right = [0, said, said + 1].contains(&unplaced.wrapping_sub(missing));
    ensure!(right, "{unplaced} bytes are in no flow, not {missing}: {:?}", document.warnings);
    ensure!(document.total.payload_bytes >= truth, "the total is smaller");
    Ok(())
}

/// A program that is killed while it is traced: every call until then is counted, and an attached
/// copytrace ends.
fn dying(context: &Context) -> Result<()> {
    const BYTES: u64 = 40_961;
    let place = Place::new()?;
    let file = place.path("files/dying");
    std::fs::write(&file, vec![7; BYTES as usize])?;
    let mut dying = Command::new(std::env::current_exe()?);
    let mut dying =
        dying.args(["soak", "dying", "--count", &BYTES.to_string()]).arg(&file).spawn()?;
    let flags = ["--per", "connection"];
    let mut attach = context.attached(&flags, &place.path("report"), dying.id())?;
    let (before, pid) = (naps(attach.id()), attach.id());
    let waited = wait_until("attach has looked", &mut attach, || naps(pid) > before + NAPS);
    let alive = waited.is_ok();
    dying.kill()?;
    dying.wait()?;
    let since = Instant::now();
    let (status, _) = wait(&mut attach)?;
    ensure!(alive && status.success(), "attach ended with {status}");
    ensure!(since.elapsed() < patience(), "it went on for {:?}", since.elapsed());
    let document = place.report()?;
    let rows = document.flows.iter().filter(|row| row.payload_bytes > 0);
    let [row] = rows.collect::<Vec<_>>()[..] else { bail!("not one row") };
    let name = file.display().to_string();
    let which = (dying.id(), ("file".to_owned(), name), ("memory".to_owned(), String::new()));
    ensure!(row.which() == which, "{:?}", row.which());
    ensure!(row.payload_bytes % BYTES == 0, "{} is not whole calls", row.payload_bytes);
    Ok(())
}

fn attach(context: &Context, place: &Place, pid: u32) -> Result<Child> {
    let mut attach = Command::new(&context.copytrace);
    attach.args(["attach", "--quiet", "--format", "json", "--per", "connection"]);
    attach.args(["--tier", context.tier.name(), "--pid", &pid.to_string()]);
    attach.arg("--output").arg(place.path("report")).stderr(Stdio::piped());
    Ok(attach.spawn()?)
}

/// A program that ends before it is traced: nothing is traced in its place, and copytrace does not wait
/// for it.
fn dying_before(context: &Context) -> Result<()> {
    let place = Place::new()?;
    // It ends, but is not waited for: its id is still in use.
    let mut brief = Command::new("sleep").arg("0").stdout(Stdio::null()).spawn()?;
    let ended = || ProcessStatus::of(brief.id()).is_some_and(|it| it.state == 'Z');
    until("it has ended", || Ok(ended()))?;
    let mut attach = attach(context, &place, brief.id())?;
    let (status, _) = wait(&mut attach)?;
    brief.wait()?;
    let mut said = String::new();
    std::io::Read::read_to_string(&mut attach.stderr.take().context("no pipe")?, &mut said)?;
    ensure!(status.code() == Some(1), "attach ended with {status}: {said}");
    ensure!(said.contains("ended"), "it does not say why: {said}");
    Ok(())
}
