//! Where a result goes, and how it may look there.

pub mod file;

use std::{
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
    path::Path,
    sync::OnceLock,
};

use anyhow::{Context, bail};
use clap::ColorChoice;
use tracer::report::{Style, flows::Format};

use file::{Readers, ResultFile};

/// Width of the table where the terminal does not say its own, in columns.
const WIDTH: u16 = 100;

/// Where a result goes.
pub enum Destination {
    /// Standard output.
    Stdout,
    /// Standard error: standard output is another program's.
    Stderr,
    /// A file.
    File(ResultFile),
}

impl Destination {
    /// What `--output` names, `-` for standard output; `otherwise` if nothing. A file is prepared
    /// before anything is measured, so that a long run never ends in "permission denied".
    pub fn of(output: Option<&Path>, otherwise: Self) -> anyhow::Result<Self> {
        match output {
            Some(path) if path == "-" => Ok(Self::Stdout),
            Some(path) => ResultFile::prepare(path, Readers::Usual).map(Self::File),
            None => Ok(otherwise),
        }
    }

    /// Refuses to write to a terminal what is not for people, before anything is measured.
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
            // Whoever wrote there before may not have ended the line.
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
            Self::Stdout => Style { color: color(&io::stdout()), width: width(&io::stdout()) },
            Self::Stderr => Style { color: color(&io::stderr()), width: width(&io::stderr()) },
            Self::File(_) => Style { color: false, width: WIDTH },
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
        // Whoever read the result, such as `head`, has seen enough of it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        // A terminal that is gone, and whoever sat there with it.
        Err(error) if is_device(&stream) && error.raw_os_error() == Some(libc::EIO) => Ok(()),
        written => written,
    }
}

/// Whether it is a terminal, or was one before that went away.
fn is_device(stream: &impl AsFd) -> bool {
    let stat = rustix::fs::fstat(stream);
    stat.is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_char_device())
}

/// What the user said of colour.
static COLOR: OnceLock<ColorChoice> = OnceLock::new();

/// Takes what the user said, once.
pub fn set_color(choice: ColorChoice) {
    // The first word counts; there is no second.
    let _ = COLOR.set(choice);
}

/// As <https://no-color.org> and <https://bixense.com/clicolors> have it.
fn color(stream: &impl IsTerminal) -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match COLOR.get() {
        Some(ColorChoice::Always) => true,
        Some(ColorChoice::Never) => false,
        _ if set("NO_COLOR") => false,
        _ if set("CLICOLOR_FORCE") => true,
        _ => stream.is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
    }
}

/// Never wider than the table was made for.
fn width(stream: &impl AsFd) -> u16 {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let columns = columns.or_else(|| {
        let size = rustix::termios::tcgetwinsize(stream).ok()?;
        (size.ws_col > 0).then_some(size.ws_col)
    });
    columns.map_or(WIDTH, |columns: u16| columns.min(WIDTH))
}
