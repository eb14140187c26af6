//! `copytrace run` and `copytrace attach`: trace any program, and report its flows.

pub mod arguments;
mod attach;
mod container;
mod jvms;
mod live;
mod privileges;
mod recorder;
mod run;
mod signals;
mod spawn;
mod stacks;
mod target;
mod writer;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context;
use live::Live;
use recorder::Recorder;
use tracer_ledger::{
    expect::{Expectation, of_flows},
    flows::group::Per,
    report::flows::{
        Format, Recording, Report, Total, View, append,
        jsonl::{self, Line},
        write,
    },
};
use writer::Writer;

use super::{
    expect::{Expect, conclude},
    kernel::{Sites, TierChoice},
    origin,
    output::{
        Destination, Output, Outputs,
        file::{Readers, ResultFile},
    },
    rows::Rows,
    usage,
};

pub use attach::Options as AttachOptions;
pub use attach::run as attach;
pub use run::Options as RunOptions;
pub use run::run;

/// The options of both verbs.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    #[command(flatten)]
    rows: Rows,
    /// Print a report at this interval, such as 10s or 500ms, besides the one at the end
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub interval: Option<Duration>,
    /// Take the kernel's and the program's stack of every CPU copy
    #[arg(long)]
    stacks: bool,
    /// Check every CPU copy against hardware breakpoints on the copy routines
    #[arg(long)]
    pub verify: bool,
    /// Count, by hardware breakpoints, what Java's HotSpot copies in its own memory for Unsafe.copyMemory:
    /// between arrays, direct buffers and mappings
    #[arg(long)]
    pub jvm_copies: bool,
    #[command(flatten)]
    pub sites: Sites,
    /// Probe type to use
    #[arg(long, value_enum, default_value = "auto")]
    pub tier: TierChoice,
    #[command(flatten)]
    pub outputs: Outputs<Format>,
    /// Record the measurement in a file that only its owner can read, for `copytrace report` and
    /// `copytrace diff`
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    #[command(flatten)]
    expect: Expect,
    /// Show no progress, no live figures, and no message on rules that hold
    #[arg(short, long)]
    pub quiet: bool,
}

impl Options {
    fn per(&self) -> Per {
        self.rows.per()
    }

    /// Refuses options without effect.
    fn check(&self, verb: &str) {
        let formats = self.outputs.formats();
        usage::check_sites(verb, self.sites, self.tier);
        usage::check_breakpoints(verb, self.verify, self.jvm_copies);
        self.outputs.check(verb, self.expect.files().chain(self.record.as_deref()));
        self.rows.check(verb, &formats);
        usage::refuse_useless(
            verb,
            self.interval.is_some() && formats.contains(&Format::Pprof),
            "--interval makes many reports, and --format pprof is one profile a file",
        );
        usage::refuse_useless(
            verb,
            self.interval.is_some() && formats.contains(&Format::Html),
            "--interval makes many reports, and --format html is one page a file",
        );
    }

    fn takes_stacks(&self) -> bool {
        self.stacks || self.outputs.formats().iter().any(|format| format.is_of_stacks())
    }

    /// The results of the rules, for everything measured until the end.
    fn judge(&self, recording: &Recording) -> Vec<Expectation> {
        of_flows(&self.expect.rules(), recording)
    }
}

/// The destinations of results. Whether they can be written is checked before tracing begins.
struct Results {
    reports: Vec<Output<Format>>,
    recording: Option<ResultFile>,
    view: View,
    /// The total when a report was last written.
    reported: Option<Total>,
}

impl Results {
    /// `otherwise`: the default destination of the report.
    fn prepare(options: &Options, otherwise: Destination) -> anyhow::Result<Self> {
        let recording = options.record.as_deref();
        let reports = options.outputs.open(otherwise)?;
        reports.iter().try_for_each(|report| report.destination.check(report.format))?;
        let recording = recording.map(|path| ResultFile::prepare(path, Readers::Owner));
        let view = options.rows.view();
        Ok(Self { reports, recording: recording.transpose()?, view, reported: None })
    }

    /// Whether one of them is a file.
    fn are_files(&self) -> bool {
        let is_file = |report: &Output<Format>| matches!(report.destination, Destination::File(_));
        self.recording.is_some() || self.reports.iter().any(is_file)
    }

    /// Writes the recording, and the reports to their destinations; a report that cannot be written goes
    /// to standard error.
    fn write(
        mut self,
        recording: &Recording,
        expectations: Vec<Expectation>,
    ) -> anyhow::Result<()> {
        let mut written = match &mut self.recording {
            Some(file) => keep(recording, file),
            None => Ok(()),
        };
        let report = Report { expectations, ..Report::of(recording, self.view) };
        for output in &mut self.reports {
            let Err(error) = write_to(output, &report, self.reported) else { continue };
            let destination = Destination::Stderr;
            let is_for_people = destination.check(output.format).is_ok();
            if is_for_people && matches!(output.destination, Destination::File(_)) {
                write_to(&mut Output { destination, format: output.format }, &report, None)?;
            }
            written = written.and(Err(error));
        }
        written
    }

    /// Writes reports of what was measured so far.
    fn report_until_now(&mut self, recording: &Recording) -> anyhow::Result<()> {
        let report = Report::of(recording, self.view);
        let reported = self.reported.replace(report.total);
        self.reports.iter_mut().try_for_each(|output| write_to(output, &report, reported))
    }
}

/// Writes a report. `reported`: the total at the previous report, if there was one.
fn write_to(
    output: &mut Output<Format>,
    report: &Report,
    reported: Option<Total>,
) -> anyhow::Result<()> {
    match output.format {
        Format::Jsonl => {
            let line = Line {
                time: Some(origin::time()),
                since_last: reported.map_or(report.total, |before| report.total.since(&before)),
                report: report.clone(),
            };
            output.destination.print(|_, out| jsonl::write(&line, out))
        }
        format => {
            let write = if reported.is_some() { append } else { write };
            output.destination.print(|style, out| write(format, report, style, out))
        }
    }
}

fn keep(recording: &Recording, file: &mut ResultFile) -> anyhow::Result<()> {
    let text = serde_json::to_vec(recording).context("cannot make the recording")?;
    file.write(&text)
}

/// Output during tracing: live figures, and periodic reports.
struct Meanwhile {
    live: Option<Live>,
    interval: Option<Duration>,
    reported: Instant,
}

impl Meanwhile {
    /// `live`: no traced program writes to the terminal.
    fn start(options: &Options, live: bool) -> Self {
        let live = live.then(Live::start);
        Self { live, interval: options.interval, reported: Instant::now() }
    }

    /// Shows due output, unless the previous report is still being written. `target`: the target, in
    /// words.
    fn show(&mut self, recorder: &Recorder, writer: &mut Writer, target: &str) {
        if writer.is_busy() {
            return;
        }
        if self.interval.is_some_and(|interval| self.reported.elapsed() >= interval) {
            self.live.iter_mut().for_each(Live::hide);
            writer.begin(recorder.recording(target));
            self.reported = Instant::now();
        } else if let Some(live) = &mut self.live {
            live.show(|| recorder.total());
        }
    }
}

/// Numbers with units: `1.5s`, `500ms`, `1m30s`; seconds without a unit.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "give a time such as 10s, 1m30s or 500ms".to_owned();
    let (mut rest, mut seconds) = (text.trim(), 0.0);
    while !rest.is_empty() {
        let end = rest.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let end = after.find(|it: char| it.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        seconds += number.parse::<f64>().map_err(|_| wrong())? * seconds_of(unit.trim())?;
        rest = after;
    }
    let time = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    if text.trim().is_empty() {
        return Err(wrong());
    }
    if time < Duration::from_millis(1) { Err("give at least 1ms".to_owned()) } else { Ok(time) }
}

fn seconds_of(unit: &str) -> Result<f64, String> {
    match unit {
        "ms" => Ok(0.001),
        "" | "s" | "sec" => Ok(1.0),
        "m" | "min" => Ok(60.0),
        "h" => Ok(3600.0),
        "d" => Ok(86_400.0),
        _ => Err(format!("`{unit}` is no unit of time: take ms, s, m, h or d")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h 500ms"), Ok(Duration::from_millis(3_600_500)));
        for wrong in ["", "s", "-1s", "3 weeks", "0s", "1..5s", "1m-30s", "1e9999h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
