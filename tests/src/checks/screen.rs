//! README shows the current output.

use std::process::Command;

use anyhow::Result;
use xtask::command;

use crate::check::{Check, Context};
use crate::pages::screen::{LESSON, Screen, TEXTBOOK};

pub const TEXTBOOK_CHECKS: [Check; 1] =
    [Check { name: "README: the textbook’s table", run: |context| compare(context, &TEXTBOOK) }];

pub const LESSON_CHECKS: [Check; 1] =
    [Check { name: "README: the lesson’s table", run: |context| compare(context, &LESSON) }];

fn compare(context: &Context, screen: &Screen) -> Result<()> {
    let mut copytrace = Command::new(&context.copytrace);
    copytrace.args(screen.arguments).args(["--tier", context.tier.name()]);
    screen.compare(&command::stdout(copytrace.env("COLUMNS", "80"))?)
}
