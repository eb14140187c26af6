//! The driver's side: a broker as a child.

use std::{
    ffi::OsString,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    time::Duration,
};

use super::{
    Flavour,
    server::{self, BrokerEvent, STATE, Spent},
};
use crate::{Error, Result, driver::ChildProcess};

/// The logs are read and checked at start-up.
const START_TIMEOUT: Duration = Duration::from_secs(120);
const TIMEOUT: Duration = Duration::from_secs(30);

/// A broker that runs as a child. It is killed when this is dropped.
#[derive(Debug)]
pub struct Broker {
    process: ChildProcess,
    port: u16,
    torn: Vec<String>,
}

impl Broker {
    /// Starts a broker on the logs in a directory. `exe` is a program that has [`crate::child::Child`]
    /// among its verbs. With `measure`, the first orders of that many consumers are measured.
    pub async fn start(
        exe: &Path,
        flavour: Flavour,
        dir: &Path,
        measure: Option<usize>,
    ) -> Result<Self> {
        let mut arguments: Vec<OsString> =
            vec![server::VERB.into(), "--flavour".into(), flavour.name().into()];
        arguments.extend(["--dir".into(), dir.into()]);
        if let Some(consumers) = measure {
            arguments.extend(["--measure".into(), consumers.to_string().into()]);
        }
        let mut process = ChildProcess::start("broker", exe, arguments, None)?;
        match process.event(Some(START_TIMEOUT)).await? {
            BrokerEvent::Listening { port, torn, .. } => Ok(Self { process, port, torn }),
            BrokerEvent::Error { what } => Err(Error::Child(what)),
            _ => Err(process.ended().await),
        }
    }

    /// Its address for clients on this machine.
    pub fn addr(&self) -> SocketAddr {
        self.addr_at(Ipv4Addr::LOCALHOST.into())
    }

    /// Its address for clients elsewhere, at one of this machine's addresses.
    pub fn addr_at(&self, address: IpAddr) -> SocketAddr {
        SocketAddr::new(address, self.port)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid
    }

    /// The torn ends of its logs that it cut off at start-up, in words.
    pub fn torn(&self) -> &[String] {
        &self.torn
    }

    /// Waits until all measured consumers are connected.
    pub async fn connected(&mut self) -> Result<()> {
        match self.process.event(Some(TIMEOUT)).await? {
            BrokerEvent::Connected => Ok(()),
            BrokerEvent::Error { what } => Err(Error::Child(what)),
            _ => Err(self.process.ended().await),
        }
    }

    /// Waits until all measured orders were carried out.
    pub async fn delivered(&mut self) -> Result<Spent> {
        match self.process.event(None).await? {
            BrokerEvent::Delivered(spent) => Ok(spent),
            BrokerEvent::Error { what } => Err(Error::Child(what)),
            _ => Err(self.process.ended().await),
        }
    }

    /// The number of flushes of messages to disk until now.
    pub async fn syncs(&mut self) -> Result<u64> {
        self.process.write_line(STATE).await;
        match self.process.event(Some(TIMEOUT)).await? {
            BrokerEvent::State { syncs } => Ok(syncs),
            BrokerEvent::Error { what } => Err(Error::Child(what)),
            _ => Err(self.process.ended().await),
        }
    }

    /// Kills it with SIGKILL, in the middle of whatever it does, and waits until it is gone.
    pub async fn kill(mut self) -> Result<()> {
        self.process.kill().await
    }
}
