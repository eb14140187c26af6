//! What a verb takes of where its result goes and in which form.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use anyhow::ensure;
use clap::{ValueEnum, error::ErrorKind};
use tracer::report::{Format, flows};

use super::Destination;
use crate::cli::usage;

/// A form of a result.
pub trait Form: ValueEnum + Copy + Default + Send + Sync + 'static {
    /// The one that files with such a name have.
    fn of(name: &str) -> Option<Self>;
}

impl Form for Format {
    fn of(name: &str) -> Option<Self> {
        match extension(name) {
            "json" => Some(Self::Json),
            "md" => Some(Self::Markdown),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

impl Form for flows::Format {
    fn of(name: &str) -> Option<Self> {
        match extension(name) {
            "json" => Some(Self::Json),
            "jsonl" => Some(Self::Jsonl),
            "md" => Some(Self::Markdown),
            "csv" => Some(Self::Csv),
            "folded" => Some(Self::Folded),
            // As perf and pprof name theirs.
            "pprof" => Some(Self::Pprof),
            _ if name.ends_with(".pb.gz") => Some(Self::Pprof),
            _ => None,
        }
    }
}

fn extension(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// Where the result goes, and in which form.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Outputs<F: Form> {
    /// Form of the result [default: what the name of --output ends with, such as .json; else table]
    #[arg(short, long, value_enum)]
    format: Option<F>,
    /// Write the result to a file, which may be repeated; `-` is standard output, the default but for
    /// `run`, which writes to standard error
    #[arg(short, long = "output", value_name = "FILE")]
    outputs: Vec<PathBuf>,
}

/// One place, and the form of what goes there.
pub struct Output<F> {
    /// The place.
    pub destination: Destination,
    /// The form.
    pub format: F,
}

impl<F: Form> Outputs<F> {
    /// Refuses one form for several files.
    pub fn check(&self, verb: &str) {
        if self.outputs.len() > 1 && self.format.is_some() {
            let what = "with several --output the names say the forms, such as `--output report.md --output \
                        data.json`: leave --format out";
            usage::refuse(verb, ErrorKind::ArgumentConflict, what);
        }
    }

    /// The form of each.
    pub fn formats(&self) -> Vec<F> {
        match self.outputs.as_slice() {
            [] => vec![self.format.unwrap_or_default()],
            outputs => outputs.iter().map(|path| self.format_of(path)).collect(),
        }
    }

    fn format_of(&self, path: &Path) -> F {
        let named = || F::of(path.file_name().and_then(OsStr::to_str).unwrap_or_default());
        self.format.or_else(named).unwrap_or_default()
    }

    /// Whether the user named a place.
    pub fn are_named(&self) -> bool {
        !self.outputs.is_empty()
    }

    /// Prepares each, before anything is measured. `otherwise`: where the result goes if the user does not
    /// say. `besides`: another file that is written.
    pub fn open(
        &self,
        otherwise: Destination,
        besides: Option<&Path>,
    ) -> anyhow::Result<Vec<Output<F>>> {
        let files = self.outputs.iter().map(PathBuf::as_path).chain(besides);
        let files: Vec<&Path> = files.filter(|path| *path != "-").collect();
        for (index, file) in files.iter().enumerate() {
            ensure!(
                files[..index].iter().all(|other| place(other) != place(file)),
                "{} is to be written twice: give each result its own file",
                file.display()
            );
        }
        if self.outputs.is_empty() {
            let destination = otherwise;
            return Ok(vec![Output { destination, format: self.format.unwrap_or_default() }]);
        }
        let open = |path: &PathBuf| {
            let destination = Destination::of(path)?;
            Ok(Output { destination, format: self.format_of(path) })
        };
        self.outputs.iter().map(open).collect()
    }
}

/// A path by the folder that it is really in.
fn place(path: &Path) -> (Option<PathBuf>, Option<&OsStr>) {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    (folder.unwrap_or(Path::new(".")).canonicalize().ok(), path.file_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(format: Option<flows::Format>, outputs: &[&str]) -> Outputs<flows::Format> {
        Outputs { format, outputs: outputs.iter().map(PathBuf::from).collect() }
    }

    #[test]
    fn a_name_says_the_form() {
        let names = ["a.json", "b.md", "c.pb.gz", "-", "report", "x.d/y.txt"];
        use flows::Format::{Csv, Json, Markdown, Pprof, Table};
        assert_eq!(outputs(None, &names).formats(), [Json, Markdown, Pprof, Table, Table, Table]);
        assert_eq!(outputs(Some(Csv), &["a.json"]).formats(), [Csv]);
        assert_eq!(outputs(None, &[]).formats(), [Table]);
    }

    #[test]
    fn a_file_is_written_once() {
        let twice = outputs(None, &["/tmp/a.json", "/tmp/../tmp/a.json"]);
        let error = twice.open(Destination::Stdout, None).err().unwrap().to_string();
        assert!(error.contains("written twice"), "{error}");
        let one = outputs(None, &["/tmp/a"]);
        assert!(one.open(Destination::Stdout, Some(Path::new("/tmp/a"))).is_err());
    }
}
