//! Messages to the user, always on stderr: stdout belongs to the command that is run.

use std::io::IsTerminal as _;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// The spinners of all steps that go on at once.
static SPINNERS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// One line of information.
pub fn note(message: &str) {
    line(&format!("xtask: {message}"));
}

/// A line of another program, above the spinners.
pub fn line(text: &str) {
    SPINNERS.suspend(|| eprintln!("{text}"));
}

/// A step that takes a while: a spinner on a terminal, two plain lines elsewhere.
pub struct Step {
    what: String,
    since: Instant,
    spinner: Option<ProgressBar>,
}

impl Step {
    /// Says what begins.
    pub fn start(what: impl Into<String>) -> Self {
        let what = what.into();
        let spinner = std::io::stderr().is_terminal().then(|| spinner(&what));
        if spinner.is_none() {
            note(&format!("{what} …"));
        }
        Self { what, since: Instant::now(), spinner }
    }

    /// Says that it worked, and how long it took.
    pub fn done(self) {
        let seconds = self.since.elapsed().as_secs_f64();
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
        note(&format!("{}: done in {seconds:.1} s", self.what));
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}

fn spinner(what: &str) -> ProgressBar {
    let bar = SPINNERS.add(ProgressBar::new_spinner().with_message(what.to_owned()));
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}
