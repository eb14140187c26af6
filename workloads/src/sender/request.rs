//! The request to a sender.

use std::{fs::File, path::PathBuf};

use crate::{
    Cache, Error, Receiver, Result, Shape,
    strategy::{self, Strategy},
};

/// Arguments of the sender as a child of [`crate::driver::Sender`].
#[derive(Clone, Debug, clap::Args)]
pub struct SenderArgs {
    #[arg(long)]
    pub(crate) strategy: String,
    #[arg(long)]
    pub(crate) messages: u64,
    /// Bytes
    #[arg(long)]
    pub(crate) message_size: u64,
    /// The payload
    #[arg(long)]
    pub(crate) file: PathBuf,
    /// blake3 of the payload
    #[arg(long)]
    pub(crate) hash: blake3::Hash,
    /// Seed of the payload's content
    #[arg(long)]
    pub(crate) seed: u64,
    /// Directory of the payload
    #[arg(long)]
    pub(crate) dir: PathBuf,
    /// Address of the consumer, or `dummy`
    #[arg(long)]
    pub(crate) to: Option<Receiver>,
    #[arg(long)]
    pub(crate) cache: Cache,
    /// Process id of the driver
    #[arg(long)]
    pub(crate) parent: u32,
}

/// One transfer.
pub(crate) struct Request {
    pub strategy: &'static Strategy,
    pub shape: Shape,
    /// Opened for this transfer alone: its position is 0.
    pub file: File,
    pub hash: blake3::Hash,
    /// The seed of the payload's content.
    pub seed: u64,
    /// The directory for other files of the transfer.
    pub dir: PathBuf,
    /// The receiver, for the routes to a socket.
    pub to: Option<Receiver>,
    pub cache: Cache,
}

impl Request {
    /// Looks the strategy up, and opens the payload.
    pub fn from_args(args: &SenderArgs) -> Result<Self> {
        let tried = format!("open the payload {}", args.file.display());
        Ok(Self {
            strategy: strategy::find(&args.strategy)?,
            shape: Shape::new(args.messages, args.message_size)?,
            file: File::open(&args.file).map_err(Error::os_advice(tried, "mount /proc"))?,
            hash: args.hash,
            seed: args.seed,
            dir: args.dir.clone(),
            to: args.to,
            cache: args.cache,
        })
    }
}
