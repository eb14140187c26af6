//! `copytrace run` and `copytrace attach`: trace any program, and report its flows.

mod attach;
mod live;
mod recorder;
mod run;
mod spawn;
mod stacks;
mod target;

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Context;
use tracer::{
    flows::group::Per,
    report::flows::{Format, Recording, Report},
};

use super::{
    kernel::{Sites, TierChoice},
    output,
};

use live::Live;
use recorder::Recorder;

pub use attach::Options as AttachOptions;
pub use attach::run as attach;
pub use run::Options as RunOptions;
pub use run::run;

/// What both verbs take.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// What tells the rows of the report apart
    #[arg(long, value_enum, default_value = "path")]
    pub per: Per,
    /// Print a report every so often, such as 10s or 500ms, besides the one at the end
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub interval: Option<Duration>,
    /// Take the kernel's and the program's stack of every CPU copy, and say who copies
    #[arg(long)]
    stacks: bool,
    /// Check every CPU copy against hardware breakpoints on the copy routines
    #[arg(long)]
    pub verify: bool,
    #[command(flatten)]
    pub sites: Sites,
    /// How to enter the kernel's functions
    #[arg(long, value_enum, default_value = "auto")]
    pub tier: TierChoice,
    /// Form of the result
    #[arg(short, long, value_enum, default_value = "table")]
    pub format: Format,
    /// Write the result to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Keep what was measured in a file, for `copytrace report` and `copytrace diff`
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Show no live figures while it runs
    #[arg(short, long)]
    pub quiet: bool,
}

impl Options {
    fn takes_stacks(&self) -> bool {
        self.stacks || self.format.is_of_stacks()
    }
}

/// Files that are opened before anything is traced.
struct Files {
    output: Option<File>,
    record: Option<File>,
}

impl Files {
    fn create(options: &Options) -> anyhow::Result<Self> {
        output::check(options.format, options.output.as_deref())?;
        Ok(Self {
            output: options.output.as_deref().map(output::create).transpose()?,
            record: options.record.as_deref().map(output::create).transpose()?,
        })
    }

    /// Writes the recording, and the report to where the user wants it.
    fn write(self, recording: &Recording, options: &Options) -> anyhow::Result<()> {
        if let Some(file) = self.record {
            write(file, recording).context("cannot write the recording")?;
        }
        print(recording, options, self.output)
    }
}

fn write(file: File, recording: &Recording) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    serde_json::to_writer(&mut out, recording)?;
    out.flush()
}

/// What the user sees while a program is traced: live figures, and a report every so often.
struct Meanwhile {
    live: Option<Live>,
    reported: Instant,
}

impl Meanwhile {
    fn start(options: &Options) -> Self {
        Self { live: (!options.quiet).then(Live::start), reported: Instant::now() }
    }

    /// Shows what is due. `target`: what is traced, in words.
    fn show(&mut self, recorder: &Recorder, options: &Options, target: &str) -> anyhow::Result<()> {
        if let Some(live) = &mut self.live {
            live.show(recorder.ledger());
        }
        if options.interval.is_some_and(|interval| self.reported.elapsed() >= interval) {
            print(&recorder.recording(target), options, None)?;
            self.reported = Instant::now();
        }
        Ok(())
    }
}

fn print(recording: &Recording, options: &Options, output: Option<File>) -> anyhow::Result<()> {
    let report = Report::new(recording, options.per);
    output::print(output, |style, out| {
        tracer::report::flows::write(options.format, &report, style, out)
    })
}

/// A number with a unit: `1.5s`, `500ms`, `2m`; seconds without one.
fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| c.is_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let scale = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("`{unit}` is no unit of time: take ms, s, m or h")),
    };
    let number: f64 = number.parse().map_err(|_| "give a time such as 10s or 500ms".to_owned())?;
    let time = Duration::try_from_secs_f64(number * scale).map_err(|error| error.to_string())?;
    if time < Duration::from_millis(1) { Err("give at least 1ms".to_owned()) } else { Ok(time) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "s", "-1s", "3 weeks", "0s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
