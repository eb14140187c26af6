//! The destination of a result, and the style for it.

pub mod file;
mod options;

use std::{
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
    path::Path,
    sync::OnceLock,
};

use anyhow::{Context, bail};
use clap::ColorChoice;
use file::{Readers, ResultFile};
use tracer_ledger::report::{Style, flows::Format};

pub use options::{Form, Output, Outputs, print_to_all};

/// Width in columns without a terminal, or if the terminal does not report one.
const WIDTH: u16 = 100;

/// Wider tables are hard to read.
const WIDEST: u16 = 200;

/// The destination of a result.
pub enum Destination {
    /// Standard output.
    Stdout,
    /// Standard error, because standard output belongs to another program.
    Stderr,
    /// A file.
    File(ResultFile),
}

impl Destination {
    /// The destination of `--output`; `-` is standard output. A file is prepared before anything is
    /// measured, so that a long run never ends in "permission denied".
    fn of(path: &Path) -> anyhow::Result<Self> {
        match path {
            path if path == "-" => Ok(Self::Stdout),
            path => ResultFile::prepare(path, Readers::Usual).map(Self::File),
        }
    }

    /// Refuses to write binary formats to a terminal, before anything is measured.
    pub fn check(&self, format: Format) -> anyhow::Result<()> {
        if format == Format::Pprof && self.is_terminal() {
            bail!(
                "a profile is binary, and the result goes to a terminal: name a file with --output"
            );
        }
        Ok(())
    }

    /// Writes a result.
    pub fn print(
        &mut self,
        write: impl FnOnce(&Style, &mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        let mut result = Vec::new();
        if let Self::Stderr = self {
            // An earlier writer may not have ended its line.
            result.push(b'\n');
        }
        write(&self.style(), &mut result).context("cannot make the result")?;
        let written = match self {
            Self::File(file) => return file.write(&result),
            Self::Stdout => send(io::stdout().lock(), &result),
            Self::Stderr => send(io::stderr().lock(), &result),
        };
        written.context("cannot write the result")
    }

    fn style(&self) -> Style {
        match self {
            Self::Stdout => style(&io::stdout()),
            Self::Stderr => style(&io::stderr()),
            Self::File(_) => Style { color: false, width: WIDTH, ascii: false, details: details() },
        }
    }

    fn is_terminal(&self) -> bool {
        match self {
            Self::Stdout => io::stdout().is_terminal(),
            Self::Stderr => io::stderr().is_terminal(),
            Self::File(_) => false,
        }
    }
}

/// Writes to a stream whose reader may be gone.
fn send(mut stream: impl Write + AsFd, result: &[u8]) -> io::Result<()> {
    match stream.write_all(result).and_then(|()| stream.flush()) {
        // The reader, such as `head`, has closed the pipe.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        // The terminal has been closed.
        Err(error) if is_device(&stream) && error.raw_os_error() == Some(libc::EIO) => Ok(()),
        written => written,
    }
}

/// Whether it is a terminal, even one that has been closed.
fn is_device(stream: &impl AsFd) -> bool {
    let stat = rustix::fs::fstat(stream);
    stat.is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_char_device())
}

/// The user's choice of colour, and of details.
static LOOK: OnceLock<(ColorChoice, bool)> = OnceLock::new();

/// Sets the user's choice, once.
pub fn set_look(color: ColorChoice, details: bool) {
    // The first choice is kept; there is no second.
    let _ = LOOK.set((color, details));
}

fn details() -> bool {
    LOOK.get().is_some_and(|(_, details)| *details)
}

fn style(stream: &(impl IsTerminal + AsFd)) -> Style {
    Style { color: color(stream), width: width(stream), ascii: is_ascii(), details: details() }
}

/// Whether the locale is ASCII only. If none is set, as in a container, the user's terminal supports
/// more.
fn is_ascii() -> bool {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set);
    locale.is_some_and(|locale| is_ascii_locale(&locale))
}

fn is_ascii_locale(locale: &str) -> bool {
    let encoding = locale.to_ascii_lowercase().replace('-', "");
    !encoding.contains("utf8")
}

/// By <https://no-color.org> and <https://bixense.com/clicolors>.
fn color(stream: &impl IsTerminal) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match LOOK.get() {
        Some((ColorChoice::Always, _)) => true,
        Some((ColorChoice::Never, _)) => false,
        _ if set("NO_COLOR") => false,
        _ if set("CLICOLOR_FORCE") => true,
        _ => stream.is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
    }
}

/// The width of the terminal, unless `COLUMNS` is set.
fn width(stream: &impl AsFd) -> u16 {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let columns = columns.or_else(|| {
        let size = rustix::termios::tcgetwinsize(stream).ok()?;
        (size.ws_col > 0).then_some(size.ws_col)
    });
    columns.map_or(WIDTH, |columns: u16| columns.min(WIDEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_says_what_can_be_drawn() {
        for ascii in ["C", "POSIX", "de_DE", "de_DE.ISO-8859-1"] {
            assert!(is_ascii_locale(ascii), "{ascii}");
        }
        for unicode in ["C.UTF-8", "en_US.utf8", "zh_CN.UTF-8"] {
            assert!(!is_ascii_locale(unicode), "{unicode}");
        }
    }
}
