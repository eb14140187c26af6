//! Where a result goes, and how it may look there.

use std::{
    fs::File,
    io::{self, IsTerminal, Write},
    path::Path,
};

use anyhow::{Context, bail};
use tracer::report::{Style, flows::Format};

/// Width of the table where the terminal does not say its own, in columns.
const WIDTH: u16 = 100;

/// A file for a result. It is made before anything is measured, so that a long run never ends in
/// "permission denied".
pub fn create(path: &Path) -> anyhow::Result<File> {
    File::create(path).with_context(|| format!("cannot write the result to {}", path.display()))
}

/// Refuses to write to a terminal what is not for people, before anything is measured.
pub fn check(format: Format, output: Option<&Path>) -> anyhow::Result<()> {
    if format == Format::Pprof && output.is_none() && io::stdout().is_terminal() {
        bail!("a profile is binary, and standard output is a terminal: name a file with --output");
    }
    Ok(())
}

/// Writes a result to `output`, or to standard output.
pub fn print(
    output: Option<File>,
    write: impl FnOnce(&Style, &mut dyn Write) -> io::Result<()>,
) -> anyhow::Result<()> {
    let style = match output {
        Some(_) => Style { color: false, width: WIDTH },
        None => Style { color: color(), width: width() },
    };
    let to_terminal = output.is_none() && is_terminal_device();
    let out: Box<dyn Write> = match output {
        Some(file) => Box::new(file),
        None => Box::new(io::stdout().lock()),
    };
    let mut out = io::BufWriter::new(out);
    match write(&style, &mut out).and_then(|()| out.flush()) {
        // Whoever read the result, such as `head`, has seen enough of it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        // A terminal that is gone, and whoever sat there with it.
        Err(error) if to_terminal && error.raw_os_error() == Some(libc::EIO) => Ok(()),
        written => written.context("cannot write the result"),
    }
}

/// Whether standard output is a terminal, or was one before it went away.
fn is_terminal_device() -> bool {
    let stat = rustix::fs::fstat(io::stdout());
    stat.is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_char_device())
}

/// As <https://no-color.org> and <https://bixense.com/clicolors> have it.
fn color() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    !set("NO_COLOR") && (set("CLICOLOR_FORCE") || io::stdout().is_terminal())
}

/// Never wider than the table was made for.
fn width() -> u16 {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let columns = columns.or_else(|| {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
        (size.ws_col > 0).then_some(size.ws_col)
    });
    columns.map_or(WIDTH, |columns: u16| columns.min(WIDTH))
}
