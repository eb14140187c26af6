//! More objects than there is room for, while whoever counts them is not looking.

use std::io::{Read, Write};

use super::{
    Place,
    truth::{Buffers, Truth, memory, numbered},
};

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// How many pipes, one after the other
    #[arg(long)]
    objects: usize,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    let (mut truth, buffers) = (Truth::default(), Buffers::new(1 << 12));
    say("ready", &mut truth)?;
    std::io::stdin().read_exact(&mut [0])?;
    for number in 0..args.objects {
        let (_output, input) = std::io::pipe()?;
        let count = 1 + number % 1009;
        buffers.write(&input, count)?;
        truth.moved(&memory(), &numbered("pipe", &input)?, count as u64);
    }
    say("done", &mut truth)?;
    truth.tell(&args.place.truth)?;
    std::io::stdin().read_exact(&mut [0])?;
    Ok(())
}

/// Says a word to whoever counts, which is a transfer, too: from memory, and not from the part of
/// this program's file that holds the word.
fn say(word: &str, truth: &mut Truth) -> anyhow::Result<()> {
    let mut output = std::io::stdout();
    let line = format!("{word}\n").into_bytes();
    truth.moved(&memory(), &numbered("pipe", &output)?, line.len() as u64);
    Ok(output.write_all(&line)?)
}
