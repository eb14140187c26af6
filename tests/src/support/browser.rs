//! A headless Chromium, where there is one. It is told what to do in the DevTools protocol, through two pipes:
//! <https://chromedevtools.github.io/devtools-protocol/>.

use std::io::{BufRead as _, BufReader, PipeReader, PipeWriter, Write as _};
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;
use xtask::command;

use crate::check::Skipped;

/// What it is called.
const NAMES: [&str; 5] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chromium-headless-shell",
];

/// Where it reads what it is told, and where it writes what it says to that: `--remote-debugging-pipe`.
const PIPES: [RawFd; 2] = [3, 4];

/// What is between two messages.
const END: u8 = 0;

/// A browser with one page.
pub struct Browser {
    process: Child,
    told: PipeWriter,
    said: BufReader<PipeReader>,
    /// The page's.
    session: String,
    messages: u64,
    /// What it said without being asked.
    events: Vec<Value>,
    /// Where it keeps its files.
    _folder: TempDir,
}

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// Pixels.
    pub width: u32,
    /// Whether the reader has a dark screen.
    pub is_dark: bool,
}

/// The browser, with its files in a folder; skips what needs it where there is none.
fn headless(folder: &Path) -> Result<Command> {
    let Some(program) = NAMES.iter().find_map(command::find) else {
        bail!(Skipped(format!("there is no browser, such as {}: install it", NAMES[0])));
    };
    let mut browser = Command::new(program);
    // It does not start as root with its sandbox, and it shows pages of ours only.
    browser.args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]);
    browser.args(["--disable-dev-shm-usage", "--no-first-run"]);
    browser.arg(format!("--user-data-dir={}", folder.display()));
    for variable in ["HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"] {
        browser.env(variable, folder);
    }
    Ok(browser)
}

/// Draws the beginning of a page, of so many pixels, as PNG.
pub fn draw(page: &Path, picture: &Path, [width, height]: [u32; 2]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut browser = headless(folder.path())?;
    browser.arg(format!("--screenshot={}", picture.display()));
    browser.arg(format!("--window-size={width},{height}"));
    command::run(browser.arg(format!("file://{}", page.display())))?;
    Ok(())
}

impl Browser {
    /// Starts it, if there is one.
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir_in("/var/tmp")?;
        let mut browser = headless(folder.path())?;
        let (its_orders, told) = std::io::pipe()?;
        let (said, its_answers) = std::io::pipe()?;
        browser.arg("--remote-debugging-pipe");
        browser.arg("about:blank").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let ends = [its_orders.as_raw_fd(), its_answers.as_raw_fd()];
        // SAFETY: only calls that are safe between fork and exec; the ends are open until then.
        unsafe { browser.pre_exec(move || give(ends)) };
        let process = browser.spawn().context("the browser cannot be started")?;
        let mut browser = Self {
            process,
            told,
            said: BufReader::new(said),
            session: String::new(),
            messages: 0,
            events: Vec::new(),
            _folder: folder,
        };
        let target = browser.tell("Target.createTarget", json!({ "url": "about:blank" }))?;
        let page = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.tell("Target.attachToTarget", page)?;
        browser.session = attached["sessionId"].as_str().context("no session")?.to_owned();
        for domain in ["Page", "Network", "Runtime", "Log"] {
            browser.tell(&format!("{domain}.enable"), json!({}))?;
        }
        Ok(browser)
    }

    /// Shows a file, and says what it asked for besides, and what was said of it.
    pub fn open(&mut self, page: &Path, view: View) -> Result<Vec<String>> {
        let View { width, is_dark } = view;
        let metrics =
            json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.tell("Emulation.setDeviceMetricsOverride", metrics)?;
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.tell("Emulation.setEmulatedMedia", features)?;
        self.events.clear();
        let url = format!("file://{}", page.display());
        self.tell("Page.navigate", json!({ "url": url }))?;
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.hear()?;
            self.events.push(event);
        }
        let remarks = self.events.iter().filter(|event| {
            let asked = &event["params"]["request"]["url"];
            match event["method"].as_str() {
                Some("Network.requestWillBeSent") => *asked != url,
                Some("Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Log.entryAdded") => {
                    true
                }
                _ => false,
            }
        });
        Ok(remarks.map(Value::to_string).collect())
    }

    /// What an expression is on the page.
    pub fn evaluate(&mut self, expression: &str) -> Result<Value> {
        let asked = json!({ "expression": expression, "returnByValue": true });
        let mut answer = self.tell("Runtime.evaluate", asked)?;
        Ok(answer["result"]["value"].take())
    }

    /// The page as a PDF document, in base64.
    pub fn print(&mut self) -> Result<String> {
        self.in_base64("Page.printToPDF", json!({ "preferCSSPageSize": true }))
    }

    fn in_base64(&mut self, method: &str, asked: Value) -> Result<String> {
        let answer = self.tell(method, asked)?;
        Ok(answer["data"].as_str().context("no data")?.to_owned())
    }

    fn tell(&mut self, method: &str, asked: Value) -> Result<Value> {
        self.messages += 1;
        let mut message = json!({ "id": self.messages, "method": method, "params": asked });
        if !self.session.is_empty() {
            message["sessionId"] = self.session.as_str().into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(END);
        self.told.write_all(&bytes)?;
        loop {
            let mut heard = self.hear()?;
            if heard["id"] != self.messages {
                self.events.push(heard);
                continue;
            }
            if let Some(error) = heard.get("error") {
                bail!("{method}: {error}");
            }
            return Ok(heard["result"].take());
        }
    }

    fn hear(&mut self) -> Result<Value> {
        let mut message = Vec::new();
        self.said.read_until(END, &mut message)?;
        let message = message.strip_suffix(&[END]).context("the browser ended")?;
        Ok(serde_json::from_slice(message)?)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.session.clear();
        if self.tell("Browser.close", json!({})).is_err() {
            // It has ended, or does so now.
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

/// Puts the ends of the pipes where the browser looks for them.
fn give(ends: [RawFd; 2]) -> std::io::Result<()> {
    // One may be where the other one goes.
    let above = |fd| {
        // SAFETY: it takes numbers and nothing else.
        match unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, PIPES[1] + 1) } {
            -1 => Err(std::io::Error::last_os_error()),
            above => Ok(above),
        }
    };
    let ends = [above(ends[0])?, above(ends[1])?];
    for (end, pipe) in ends.into_iter().zip(PIPES) {
        // SAFETY: it takes numbers and nothing else.
        if unsafe { libc::dup2(end, pipe) } == -1 {
            return Err(std::io::Error::last_os_error());
        }
    }
    Ok(())
}
