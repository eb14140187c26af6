//! Pages in a browser, opened from a folder: nothing is asked for, nothing is cut off, and no name says
//! anything to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::json;
use xtask::command;

use crate::check::{Check, Context};
use crate::support::browser::{Browser, View};

pub const CHECKS: [Check; 1] =
    [Check { name: "html: pages stand alone in a browser, from phone to projector", run: alone }];

/// Of a phone, a laptop and a projector, in pixels.
const WIDTHS: [u32; 3] = [360, 1280, 1920];

/// A file's name that would ask for something if it were mark-up.
const HOSTILE: &str = "<img src=x onerror=alert(1)>\u{1b}[31m\n'\"&.txt";

/// What reaches out of the window and can be seen.
const CUT_OFF: &str = "[...document.querySelectorAll('body *')].filter(it => {
    const { left, right, width } = it.getBoundingClientRect();
    const hidden = it.closest('.spoken, .flames svg') || getComputedStyle(it.closest('thead') ?? it).clipPath != 'none';
    return width > 0 && (right > innerWidth + 1 || left < -1) && !hidden;
}).map(it => it.outerHTML.slice(0, 99))";

/// Mark-up that loads, runs or sends something.
const FOREIGN: &str =
    "document.querySelectorAll('img, script, iframe, object, embed, link, form, a').length";

fn alone(context: &Context) -> Result<()> {
    let mut browser = Browser::start()?;
    let folder = tempfile::tempdir_in("/var/tmp")?;
    for page in pages(context, folder.path())? {
        let size = fs::metadata(&page)?.len();
        ensure!(size < 1_000_000, "{} has {size} bytes", page.display());
        for width in WIDTHS {
            for is_dark in [false, true] {
                look(&mut browser, &page, View { width, is_dark })?;
            }
        }
        // `%PDF-`
        ensure!(browser.print()?.starts_with("JVBERi0"), "{} is not printed", page.display());
    }
    Ok(())
}

fn look(browser: &mut Browser, page: &Path, view: View) -> Result<()> {
    let shown = page.display();
    let remarks = browser.open(page, view)?;
    ensure!(remarks.is_empty(), "{shown}, {view:?}: {}", remarks.join("\n"));
    let cut_off = browser.evaluate(CUT_OFF)?;
    ensure!(cut_off == json!([]), "{shown}, {view:?}: cut off: {cut_off}");
    let foreign = browser.evaluate(FOREIGN)?;
    ensure!(foreign == json!(0), "{shown} has {foreign} elements that are not of a page");
    let is_told = browser.evaluate("document.querySelector('h1').innerText.length > 9")?;
    ensure!(is_told == json!(true), "{shown} has no answer");
    Ok(())
}

/// One of each verb that needs no far end.
fn pages(context: &Context, folder: &Path) -> Result<Vec<PathBuf>> {
    let hostile = folder.join(HOSTILE);
    fs::write(&hostile, vec![7; 1 << 20])?;
    let recording = folder.join("recording");
    let made = |name: &str| folder.join(name).with_extension("html");
    let tier = ["--tier", context.tier.name()];
    let copytrace = |verb: &str| {
        let mut copytrace = Command::new(&context.copytrace);
        copytrace.arg(verb).arg("--output").arg(made(verb));
        copytrace
    };
    let bundled = ["--to", "loopback", "--cache", "warm"];
    command::run(copytrace("demo").args(bundled).args(tier))?;
    command::run(copytrace("explain").args(bundled).args(tier).args(["read-write", "sendfile"]))?;
    let mut run = copytrace("run");
    run.args(tier).args(["--stacks", "--record"]).arg(&recording);
    command::run(run.args(["--", "cat"]).arg(&hostile))?;
    let other = folder.join("other");
    fs::copy(&recording, &other)?;
    command::run(copytrace("diff").args([&recording, &other]))?;
    Ok(["demo", "explain", "run", "diff"].map(made).into())
}
