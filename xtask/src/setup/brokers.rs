//! Apache Kafka and Apache RocketMQ themselves: their jars, by Maven.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use super::Consent;
use crate::cache::{Cache, publish};
use crate::cargo::workspace;
use crate::command;
use crate::say::Step;

/// A broker whose jars Maven fetches.
pub struct Broker {
    name: &'static str,
    /// Its folder in `workloads/real/`, with the `pom.xml` that pins its version.
    folder: &'static str,
    /// The flag by which copytrace is told where it is.
    flag: &'static str,
}

/// Both brokers.
pub const ALL: [Broker; 2] = [
    Broker { name: "Apache Kafka", folder: "kafka", flag: "--kafka-home" },
    Broker { name: "Apache RocketMQ", folder: "rocketmq", flag: "--rocketmq-home" },
];

/// The flags that tell copytrace where both are. Those that `words` name already are not fetched.
pub fn flags(words: &[OsString], consent: Consent) -> Result<Vec<OsString>> {
    let cache = Cache::locate()?;
    let mut flags = Vec::new();
    for broker in ALL.iter().filter(|broker| !broker.is_named_in(words)) {
        let home = broker.ensure(&cache, consent)?;
        flags.extend([OsString::from(broker.flag), home.into()]);
    }
    Ok(flags)
}

impl Broker {
    fn is_named_in(&self, words: &[OsString]) -> bool {
        let with_value = format!("{}=", self.flag);
        let mut words = words.iter().map(|word| word.to_string_lossy());
        words.any(|word| word == self.flag || word.starts_with(&with_value))
    }

    /// The folder of its jars, which are fetched if they are not those of the `pom.xml`.
    pub fn ensure(&self, cache: &Cache, consent: Consent) -> Result<PathBuf> {
        let pom = fs::read_to_string(
            workspace().join("workloads/real").join(self.folder).join("pom.xml"),
        )?;
        let place = cache.jars(self.folder);
        if is_of(&place, &pom) {
            return Ok(place);
        }
        ensure!(
            consent == Consent::Given,
            "{} is missing, and --no-setup forbids fetching it",
            self.name
        );
        let maven = command::find("mvn").with_context(|| {
            format!("Maven, which fetches {}, is missing: `apt-get install maven`", self.name)
        })?;
        let step = Step::start(format!("fetching {} by Maven", self.name));
        let scratch = cache.scratch()?;
        let result = scratch.path().join(self.folder);
        fs::create_dir(&result)?;
        fs::write(result.join("pom.xml"), &pom)?;
        let mut fetch = Command::new(maven);
        // A jar whose checksum is wrong is an error.
        fetch.args([
            "--quiet",
            "--batch-mode",
            "--strict-checksums",
            "dependency:copy-dependencies",
        ]);
        fetch.args(["-Dstyle.color=never", "-DoutputDirectory=lib"]).current_dir(&result);
        run(&mut fetch).with_context(|| {
            format!(
                "{} could not be fetched ({}): check the network and Maven’s settings",
                self.name,
                artifacts(&pom).join(", ")
            )
        })?;
        if place.exists() {
            fs::remove_dir_all(&place)?;
        }
        publish(&result, &place)?;
        step.done();
        Ok(place)
    }
}

/// Runs Maven to its end, and tells what it says first: its errors are on standard output, with advice.
fn run(maven: &mut Command) -> Result<()> {
    let output = maven.stdin(Stdio::null()).output().context("Maven could not be started")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        let error = said.lines().find_map(|line| line.split_once("[ERROR] ")).map(|(_, what)| what);
        bail!("Maven failed ({}): {}", output.status, error.unwrap_or("it does not say why"));
    }
    Ok(())
}

/// Whether the jars in a folder are those of a `pom.xml`.
fn is_of(place: &Path, pom: &str) -> bool {
    fs::read_to_string(place.join("pom.xml")).is_ok_and(|fetched| fetched == pom)
}

/// The dependencies in a `pom.xml`, as `group:artifact:version`.
fn artifacts(pom: &str) -> Vec<String> {
    let value = |dependency: &str, name: &str| {
        let (_, after) = dependency.split_once(&format!("<{name}>"))?;
        after.split_once('<').map(|(value, _)| value.to_owned())
    };
    let parts = ["groupId", "artifactId", "version"];
    let named = |dependency| {
        parts.into_iter().filter_map(|part| value(dependency, part)).collect::<Vec<_>>().join(":")
    };
    pom.split("<dependency>").skip(1).map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pom_pins_what_it_asks_for() {
        for broker in ALL {
            let pom = workspace().join("workloads/real").join(broker.folder).join("pom.xml");
            let artifacts = artifacts(&fs::read_to_string(pom).unwrap());
            assert!(artifacts.len() > 1, "{}", broker.name);
            for artifact in artifacts {
                assert_eq!(artifact.split(':').count(), 3, "{artifact}");
            }
        }
    }

    #[test]
    fn a_home_that_is_named_is_not_fetched() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        let [kafka, rocketmq] = ALL;
        let named = words("--real --kafka-home /opt/kafka");
        assert!(kafka.is_named_in(&named) && !rocketmq.is_named_in(&named));
        assert!(kafka.is_named_in(&words("--kafka-home=/opt/kafka")));
        assert!(!kafka.is_named_in(&words("--kafka-homes")));
    }
}
