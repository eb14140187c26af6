//! The options for destination and format of a result.

use std::{
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
};

use clap::{ValueEnum, error::ErrorKind};
use tracer_ledger::report::{Format, Style, explain, flows};

use super::Destination;
use crate::cli::usage;

/// A format of a result.
pub trait Form: ValueEnum + Copy + Default + Send + Sync + 'static {
    /// The format for a file of this name.
    fn of(name: &str) -> Option<Self>;
}

impl Form for Format {
    fn of(name: &str) -> Option<Self> {
        match extension(name) {
            "json" => Some(Self::Json),
            "md" => Some(Self::Markdown),
            "html" | "htm" => Some(Self::Html),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

impl Form for explain::Format {
    fn of(name: &str) -> Option<Self> {
        match extension(name) {
            "svg" => Some(Self::Svg),
            // The extension of Mermaid's own command.
            "mmd" | "mermaid" => Some(Self::Mermaid),
            "html" | "htm" => Some(Self::Html),
            "json" => Some(Self::Json),
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
            "html" | "htm" => Some(Self::Html),
            "csv" => Some(Self::Csv),
            "folded" => Some(Self::Folded),
            // The extensions of perf and pprof.
            "pprof" => Some(Self::Pprof),
            _ if name.ends_with(".pb.gz") => Some(Self::Pprof),
            _ => None,
        }
    }
}

fn extension(name: &str) -> &str {
    name.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// The destinations of a result, each with its format.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Outputs<F: Form> {
    /// Write the result in this format [default: by the extension of --output, such as .json; else table]
    #[arg(short, long, value_enum)]
    format: Option<F>,
    /// Write the result to this file; may be repeated. `-` is standard output, the default except for
    /// `run`, which writes to standard error
    #[arg(short, long = "output", value_name = "FILE")]
    outputs: Vec<PathBuf>,
}

/// A destination, and its format.
pub struct Output<F> {
    /// The destination.
    pub destination: Destination,
    /// The format.
    pub format: F,
}

impl<F: Form> Outputs<F> {
    /// Refuses one format for several files, a format that the verb lacks, and writing a file twice, or
    /// one of the files that are read or written `besides`.
    pub fn check<'a>(&'a self, verb: &str, besides: impl IntoIterator<Item = &'a Path>) {
        let known = |path: &&PathBuf| {
            let name = name(path);
            let of_any = flows::Format::of(name).is_some() || explain::Format::of(name).is_some();
            of_any && F::of(name).is_none()
        };
        if let Some(path) = self.outputs.iter().filter(|_| self.format.is_none()).find(known) {
            let what = format!(
                "{verb} has no form that is named as {} is; --format says which it has",
                path.display()
            );
            usage::refuse(verb, ErrorKind::InvalidValue, &what);
        }
        if let Some(twice) = self.twice(besides) {
            let what =
                format!("{} is to be used twice: give each result its own file", twice.display());
            usage::refuse(verb, ErrorKind::ArgumentConflict, &what);
        }
        if self.outputs.len() > 1 && self.format.is_some() {
            let what = "with several --output the names say the forms, such as `--output report.md --output \
                        data.json`: leave --format out";
            usage::refuse(verb, ErrorKind::ArgumentConflict, what);
        }
    }

    /// The format of each.
    pub fn formats(&self) -> Vec<F> {
        match self.outputs.as_slice() {
            [] => vec![self.format.unwrap_or_default()],
            outputs => outputs.iter().map(|path| self.format_of(path)).collect(),
        }
    }

    fn format_of(&self, path: &Path) -> F {
        self.format.or_else(|| F::of(name(path))).unwrap_or_default()
    }

    /// A file that is named twice, or among `besides`.
    fn twice<'a>(&'a self, besides: impl IntoIterator<Item = &'a Path>) -> Option<&'a Path> {
        let files = self.outputs.iter().map(PathBuf::as_path).chain(besides);
        let files: Vec<&Path> = files.collect();
        let is_again = |(index, file): &(usize, &&Path)| {
            files[..*index].iter().any(|other| place(other) == place(file))
        };
        files.iter().enumerate().find(is_again).map(|(_, file)| *file)
    }

    /// Whether the user named a destination.
    pub fn are_named(&self) -> bool {
        !self.outputs.is_empty()
    }

    /// Prepares each, before anything is measured. `otherwise`: the default destination.
    pub fn open(&self, otherwise: Destination) -> anyhow::Result<Vec<Output<F>>> {
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

/// Writes a result to each destination in its format.
pub fn print_to_all<F: Copy>(
    outputs: Vec<Output<F>>,
    write: impl Fn(F, &Style, &mut dyn io::Write) -> io::Result<()>,
) -> anyhow::Result<()> {
    outputs.into_iter().try_for_each(|Output { mut destination, format }| {
        destination.print(|style, out| write(format, style, out))
    })
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(OsStr::to_str).unwrap_or_default()
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
        let names = ["a.json", "b.md", "c.pb.gz", "d.html", "-", "report", "x.d/y.txt"];
        use flows::Format::{Csv, Html, Json, Markdown, Pprof, Table};
        let formats = outputs(None, &names).formats();
        assert_eq!(formats, [Json, Markdown, Pprof, Html, Table, Table, Table]);
        assert_eq!(outputs(Some(Csv), &["a.json"]).formats(), [Csv]);
        assert_eq!(outputs(None, &[]).formats(), [Table]);
    }

    #[test]
    fn a_file_is_used_once() {
        let none = std::iter::empty;
        assert!(outputs(None, &["/tmp/a.json", "/tmp/../tmp/a.json"]).twice(none()).is_some());
        assert!(outputs(None, &["-", "-"]).twice(none()).is_some());
        let one = outputs(None, &["/tmp/a"]);
        assert!(one.twice([Path::new("/tmp/b")]).is_none());
        assert_eq!(one.twice([Path::new("/tmp/./a")]), Some(Path::new("/tmp/./a")));
    }
}
