//! Documents show what is printed.

use std::process::Command;

use anyhow::Result;
use xtask::command;

use crate::check::{Check, Context};
use crate::pages::block::Block;
use crate::pages::nginx;
use crate::pages::screen::{LESSON, LESSON_BLOCK, TEXTBOOK, TEXTBOOK_BLOCK};
use crate::pages::second_machine;

const README: &str = include_str!("../../../README.md");

pub const GUEST_CHECKS: [Check; 3] = [
    Check {
        name: "README: the textbook’s table",
        run: |context| compare(context, TEXTBOOK, &TEXTBOOK_BLOCK),
    },
    Check { name: "README and any-program.md: nginx", run: nginx::compare },
    Check { name: "README: a second machine", run: second_machine::compare },
];

pub const LESSON_CHECKS: [Check; 1] = [Check {
    name: "README: the lesson’s table",
    run: |context| compare(context, LESSON, &LESSON_BLOCK),
}];

fn compare(context: &Context, arguments: &[&str], block: &Block) -> Result<()> {
    let mut copytrace = Command::new(&context.copytrace);
    copytrace.args(arguments).args(["--tier", context.tier.name()]);
    block.compare(README, &command::stdout(copytrace.env("COLUMNS", "80"))?)
}
