//! A running program with its client, in its own folder.

use std::{fs, path::Path, process::Stdio};

use anyhow::Context;
use tempfile::TempDir;

use super::{
    client::{Client, Done, Messages},
    java::{Java, JavaProcess, TEMPORARY},
    program::{Home, Plan, Program, Setting},
};

/// The most memory that Java takes for objects, in MiB.
const SERVER_MEMORY: u32 = 512;
const CLIENT_MEMORY: u32 = 512;

/// The subfolder for compiled classes.
const CLASSES: &str = "classes";

/// Its processes end when this is dropped; the folder is removed last.
pub struct Running {
    pub program: &'static Program,
    pub version: String,
    client: Client,
    servers: Vec<JavaProcess>,
    _folder: TempDir,
}

impl Running {
    /// Starts it, and waits until it answers.
    pub async fn start(
        program: &'static Program,
        home: Home,
        java: &Java,
        folder: TempDir,
    ) -> anyhow::Result<Self> {
        let at = folder.path();
        for name in [TEMPORARY, CLASSES] {
            fs::create_dir(at.join(name)).with_context(|| format!("cannot create {name}"))?;
        }
        let class_path = format!("{}:{}/*", at.join(CLASSES).display(), home.jars.display());
        compile(program, java, at, &class_path).await?;
        let Plan { files, servers: planned, port } = (program.plan)(at)?;
        for (name, text) in files {
            fs::write(at.join(name), text).with_context(|| format!("cannot write {name}"))?;
        }
        let flags = (program.flags)(at);
        let mut servers = Vec::new();
        for server in planned {
            let mut command = java.machine(at, SERVER_MEMORY, &flags, &class_path);
            command.arg(server.class).args(&server.arguments);
            let mut process = JavaProcess::start(
                (program.title, server.class),
                command,
                at,
                Stdio::null(),
                None,
            )?;
            match server.port {
                Some(port) => {
                    process.listens(port).await?;
                    servers.push(process);
                }
                None => process.succeeds().await?,
            }
        }
        let mut command = java.machine(at, CLIENT_MEMORY, &[], &class_path);
        command.args([program.client.to_owned(), format!("127.0.0.1:{port}")]);
        let client = Client::start(program.client, command, at)?;
        Ok(Self { program, version: home.version, client, servers, _folder: folder })
    }

    /// The broker's process.
    pub fn pid(&self) -> u32 {
        self.servers.last().map_or(0, |server| server.pid)
    }

    /// Has messages sent to their topic.
    pub async fn produce(&mut self, messages: &Messages) -> anyhow::Result<Done> {
        let created = self.client.create(messages).await;
        self.told(created)?;
        let produced = self.client.produce(messages).await;
        self.told(produced)
    }

    /// Has all of them received.
    pub async fn consume(&mut self, messages: &Messages) -> anyhow::Result<Done> {
        let consumed = self.client.consume(messages).await;
        self.told(consumed)
    }

    /// Applies a setting.
    pub async fn apply(&mut self, setting: &Setting) -> anyhow::Result<()> {
        let Some((name, value)) = setting.change else { return Ok(()) };
        let set = self.client.set(name, value).await;
        self.told(set)
    }

    /// The result of a client. If a server has ended, that is the better error than a missing answer.
    fn told<T>(&mut self, told: anyhow::Result<T>) -> anyhow::Result<T> {
        told.map_err(|error| {
            let ended = self.servers.iter_mut().find_map(|server| server.runs().err());
            ended.unwrap_or(error).context(format!("{} failed", self.program.title))
        })
    }
}

/// Compiles the sources of the client, against the program's own jars.
async fn compile(
    program: &Program,
    java: &Java,
    folder: &Path,
    class_path: &str,
) -> anyhow::Result<()> {
    let mut names = Vec::new();
    for source in program.sources {
        fs::write(folder.join(source.name), source.text)
            .with_context(|| format!("cannot write {}", source.name))?;
        names.push(source.name);
    }
    let services = folder.join(CLASSES).join("META-INF/service");
    fs::create_dir_all(&services).context("cannot create the folder of services")?;
    for (service, class) in program.services {
        fs::write(services.join(service), class).context("cannot write the name of a service")?;
    }
    java.compile(folder, &names, class_path, CLASSES).await
}
