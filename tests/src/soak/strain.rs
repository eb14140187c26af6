//! More objects than there is room for, while copytrace is stopped.

use std::io::Read;

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
    // A call without bytes: the file gets its name before the room runs out.
    rustix::io::write(std::fs::File::create(&args.place.truth)?, b"")?;
    truth.print("ready")?;
    std::io::stdin().read_exact(&mut [0])?;
    for number in 0..args.objects {
        let (_output, input) = std::io::pipe()?;
        let count = 1 + number % 1009;
        buffers.write(&input, count)?;
        truth.moved(&memory(), &numbered("pipe", &input)?, count as u64);
    }
    truth.print("done")?;
    truth.append_to(&args.place.truth)?;
    std::io::stdin().read_exact(&mut [0])?;
    Ok(())
}
