//! The hidden verbs by which a program runs itself again as sender, consumer or broker.
//!
//! A command flattens [`Child`] into its verbs, and the [`crate::driver`] finds them there. Each role has
//! its verb, its arguments, and what it does in a file of its own.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use serde::Serialize;

use crate::{
    Error, Result,
    broker::server::{self, BrokerArgs, BrokerEvent},
    consumer::{self, ConsumerArgs},
    peer::{self, PeerArgs},
    process,
    protocol::{ConsumerEvent, SenderEvent},
    sender::{self, SenderArgs},
};

/// The roles of a child.
///
/// It speaks JSON on standard output. It should run on the main thread, before any other is
/// started: a thread of its own would be measured with the sender.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Child {
    /// Send a payload, for the demo
    #[command(name = sender::VERB, hide = true)]
    Sender(SenderArgs),
    /// Receive, for the demo
    #[command(name = consumer::VERB, hide = true)]
    Consumer(ConsumerArgs),
    /// Serve producers and consumers, for the demo
    #[command(name = server::VERB, hide = true)]
    Broker(BrokerArgs),
    /// Be the other process of a transfer between two, for the demo
    #[command(name = peer::VERB, hide = true)]
    Peer(PeerArgs),
}

impl Child {
    /// Runs the child; an error is sent to the driver as an event.
    pub fn run(self) -> ExitCode {
        match self {
            Self::Sender(args) => finish(sender::run(&args), |error| match error {
                Error::Unsupported { reason } => SenderEvent::Unsupported { reason },
                error => SenderEvent::Error { what: error.to_string() },
            }),
            Self::Consumer(args) => finish(consumer::run(&args), |error| ConsumerEvent::Error {
                what: error.to_string(),
            }),
            Self::Broker(args) => {
                finish(server::run(&args), |error| BrokerEvent::Error { what: error.to_string() })
            }
            // The peer's standard output is the sender's, which notices the end; the error is for the
            // user.
            Self::Peer(args) => match peer::run(&args) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    let _ = writeln!(io::stderr(), "the other process: {error}");
                    ExitCode::FAILURE
                }
            },
        }
    }
}

fn finish<E: Serialize>(result: Result<()>, event: impl FnOnce(Error) -> E) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    // If that fails too, there is no other place to report it.
    let _ = process::emit(&event(error));
    ExitCode::FAILURE
}
