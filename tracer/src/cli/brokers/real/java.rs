//! Java: finding it, and virtual machines that leave nothing behind.

use std::{
    fs::{self, File},
    io,
    net::Ipv4Addr,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use rustix::process::{Signal, set_parent_process_death_signal};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::sleep,
};

/// The oldest version that both programs support.
const OLDEST: u32 = 17;
const INSTALL: &str = "`apt-get install openjdk-17-jdk-headless`, or set JAVA_HOME";

/// The time a server has until it listens, and the interval of polling.
const START: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(50);

/// The time a killed process has to end, and the interval of polling.
const END: Duration = Duration::from_secs(10);
const LOOK_AT_END: Duration = Duration::from_millis(2);

/// The number of last lines of a log in an error.
const TAIL: usize = 8;

/// The Java runtime and the compiler.
#[derive(Clone)]
pub struct Java {
    java: PathBuf,
    javac: PathBuf,
}

impl Java {
    /// In `JAVA_HOME`, else on `PATH`.
    pub fn find() -> anyhow::Result<Self> {
        let home = std::env::var_os("JAVA_HOME").filter(|home| !home.is_empty());
        let at = |name: &str| match &home {
            Some(home) => Path::new(home).join("bin").join(name),
            None => name.into(),
        };
        let found = Self { java: at("java"), javac: at("javac") };
        for program in [&found.java, &found.javac] {
            let version = version(program)
                .with_context(|| format!("{} of a JDK is missing: {INSTALL}", program.display()))?;
            ensure!(
                version >= OLDEST,
                "{} is of Java {version}, and {OLDEST} is the oldest that Kafka and RocketMQ take: {INSTALL}",
                program.display()
            );
        }
        Ok(found)
    }

    /// Compiles sources into a folder.
    pub async fn compile(
        &self,
        folder: &Path,
        sources: &[&str],
        class_path: &str,
        into: &str,
    ) -> anyhow::Result<()> {
        let mut javac = Command::new(&self.javac);
        javac.args(["-J-XX:-UsePerfData", "-nowarn", "-d", into, "-cp", class_path]).args(sources);
        let mut javac = JavaProcess::start(("javac", "javac"), javac, folder, Stdio::null(), None)?;
        javac.succeeds().await
    }

    /// A virtual machine in a folder, which gets all files that it writes.
    pub fn machine(
        &self,
        folder: &Path,
        megabytes: u32,
        flags: &[String],
        class_path: &str,
    ) -> Command {
        let mut java = Command::new(&self.java);
        let at = |name: &str| folder.join(name).display().to_string();
        java.arg(format!("-Xmx{megabytes}m"));
        // A killed machine would leave that file in /tmp.
        java.arg("-XX:-UsePerfData");
        java.arg(format!("-XX:ErrorFile={}", at("hs_err.log")));
        java.arg(format!("-Duser.home={}", folder.display()));
        java.arg(format!("-Djava.io.tmpdir={}", at(TEMPORARY)));
        java.args(flags).args(["-cp", class_path]);
        // These variables change the programs.
        for variable in ["ROCKETMQ_HOME", "NAMESRV_ADDR", "CLASSPATH"] {
            java.env_remove(variable);
        }
        java
    }
}

/// The folder of temporary files of virtual machines.
pub const TEMPORARY: &str = "tmp";

/// The first number of a version: `javac 17.0.15`, `openjdk 21 2023-09-19`, of old ones `javac 1.8.0_402`.
fn version(program: &Path) -> anyhow::Result<u32> {
    let output = std::process::Command::new(program).arg("--version").output();
    let output = output.with_context(|| format!("cannot run {}", program.display()))?;
    Ok(number_in(&String::from_utf8_lossy(&output.stdout)))
}

fn number_in(text: &str) -> u32 {
    let word =
        text.split_whitespace().find(|word| word.starts_with(|it: char| it.is_ascii_digit()));
    let digits = word.unwrap_or_default().split(|it: char| !it.is_ascii_digit()).next();
    // One that does not know the option is older than 9.
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(1)
}

/// A child process, killed when this is dropped, or when copytrace ends.
pub struct JavaProcess {
    name: &'static str,
    /// The log of its output and of the reason for its end.
    log: PathBuf,
    pub pid: u32,
    pub child: Child,
}

impl JavaProcess {
    /// Starts it in a folder, with a log of that name there. `stdout`: if not into the log as well.
    pub fn start(
        (name, log): (&'static str, &str),
        mut command: Command,
        folder: &Path,
        stdin: Stdio,
        stdout: Option<Stdio>,
    ) -> anyhow::Result<Self> {
        let log = folder.join(format!("{log}.log"));
        let file =
            File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
        let stdout = match stdout {
            Some(stdout) => stdout,
            None => file.try_clone().context("cannot use a log twice")?.into(),
        };
        // Ctrl-C on the terminal is for copytrace, which ends this process.
        command.current_dir(folder).stdin(stdin).stdout(stdout).stderr(file).process_group(0);
        let parent = std::process::id();
        // SAFETY: between fork and exec this makes system calls only.
        unsafe { command.pre_exec(move || die_with(parent)) };
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let pid = child.id().unwrap_or_default();
        Ok(Self { name, log, pid, child })
    }

    /// Waits until it has done its work.
    pub async fn succeeds(&mut self) -> anyhow::Result<()> {
        let status =
            self.child.wait().await.with_context(|| format!("cannot wait for {}", self.name))?;
        ensure!(status.success(), "{}", self.why(status));
        Ok(())
    }

    /// Waits until it listens on a port of loopback.
    pub async fn listens(&mut self, port: u16) -> anyhow::Result<()> {
        let limit = Instant::now() + START;
        loop {
            self.runs()?;
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok() {
                return Ok(());
            }
            if Instant::now() > limit {
                bail!(
                    "{} did not listen on 127.0.0.1:{port} within {} s; it said last:\n{}",
                    self.name,
                    START.as_secs(),
                    self.said()
                );
            }
            sleep(LOOK).await;
        }
    }

    /// An error if it has ended.
    pub fn runs(&mut self) -> anyhow::Result<()> {
        let status =
            self.child.try_wait().with_context(|| format!("cannot ask for {}", self.name))?;
        match status {
            Some(status) => bail!("{}", self.why(status)),
            None => Ok(()),
        }
    }

    /// The reason for its end.
    pub fn why(&self, status: ExitStatus) -> String {
        let how = match status.signal() {
            Some(signal) => format!("was ended by signal {signal}"),
            None => format!("ended with {status}"),
        };
        explained(self.name, &how, &fs::read_to_string(&self.log).unwrap_or_default())
    }

    /// The last lines of its log.
    pub fn said(&self) -> String {
        tail(&fs::read_to_string(&self.log).unwrap_or_default())
    }
}

impl Drop for JavaProcess {
    /// It must be gone before its folder is removed.
    fn drop(&mut self) {
        let _ = self.child.start_kill();
        let limit = Instant::now() + END;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < limit {
            thread::sleep(LOOK_AT_END);
        }
    }
}

/// Has this process killed when the thread that started it ends.
fn die_with(parent: u32) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let own = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().cast_unsigned());
    match own == Some(parent) {
        true => Ok(()),
        false => Err(io::Error::from_raw_os_error(libc::ECANCELED)),
    }
}

/// The reason for a process's end, from its log.
fn explained(name: &str, how: &str, log: &str) -> String {
    let in_use = log
        .lines()
        .find(|line| line.contains("Failed to bind to") || line.contains("failed to bind to"));
    match in_use.filter(|_| log.contains("Address already in use")) {
        Some(line) => {
            let at = line.split("ailed to bind to ").nth(1).unwrap_or_default();
            let at = at.split(": ").next().unwrap_or_default();
            format!("{name} {how}: its port {at} is in use by another program; run it again")
        }
        None => format!("{name} {how}; it said last:\n{}", tail(log)),
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let said = ["javac 17.0.15\n", "openjdk 21 2023-09-19\nOpenJDK", "javac 1.8.0_402", ""];
        assert_eq!(said.map(number_in), [17, 21, 1, 1]);
    }

    #[test]
    fn a_port_in_use_is_told_as_such() {
        let kafka = "main ERROR Unable to start acceptor\norg.apache.kafka.common.KafkaException: Socket server \
                     failed to bind to 127.0.0.1:29092: Address already in use.\n\tat somewhere";
        let told = explained("Apache Kafka", "ended with exit status: 1", kafka);
        assert!(told.contains("127.0.0.1:29092 is in use"), "{told}");
        let rocketmq = "java.lang.IllegalStateException: Failed to bind to 127.0.0.1:19876\n\tat x\n\
                        Caused by: java.net.BindException: Address already in use";
        let told = explained("Apache RocketMQ", "ended with exit status: 255", rocketmq);
        assert!(told.contains("127.0.0.1:19876 is in use"), "{told}");
        let other = explained("x", "ended with exit status: 1", "\nout of memory\n");
        assert_eq!(other, "x ended with exit status: 1; it said last:\nout of memory");
    }

    #[test]
    fn a_process_is_gone_when_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut sleep = Command::new("sleep");
            sleep.arg("600");
            let process =
                JavaProcess::start(("sleep", "sleep"), sleep, folder.path(), Stdio::null(), None)
                    .unwrap();
            let stat = format!("/proc/{}/stat", process.pid);
            assert!(Path::new(&stat).exists());
            drop(process);
            assert!(!Path::new(&stat).exists());
        });
    }
}
