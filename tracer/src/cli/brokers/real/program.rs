//! The description of a program: a static row each.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use workloads::real::Source;

/// A broker of other authors, in Java.
pub struct Program {
    /// For people.
    pub title: &'static str,
    /// Its name in a report.
    pub name: &'static str,
    /// The option for its folder.
    pub flag: &'static str,
    /// The beginning of the jar's name, before its version.
    pub jar: &'static str,
    /// More flags of its virtual machines.
    pub flags: fn(&Path) -> Vec<String>,
    /// The servers to start, in a folder.
    pub plan: fn(&Path) -> anyhow::Result<Plan>,
    /// The class of its client, and what is to be compiled.
    pub client: &'static str,
    pub sources: &'static [Source],
    /// The services that these classes are, as `META-INF/service` has them: name, class.
    pub services: &'static [(&'static str, &'static str)],
    /// The settings to compare: each is measured.
    pub settings: &'static [Setting],
}

/// A setting of a running broker.
pub struct Setting {
    /// Its name in a report.
    pub name: &'static str,
    /// The changed property, as name and value.
    pub change: Option<(&'static str, &'static str)>,
}

/// The start of a program.
pub struct Plan {
    /// Its settings: files of this name, with this content.
    pub files: Vec<(&'static str, String)>,
    /// In this order; the last one is the broker.
    pub servers: Vec<Server>,
    /// The port that a client connects to.
    pub port: u16,
}

/// A virtual machine of a program.
pub struct Server {
    /// Its main class.
    pub class: &'static str,
    /// Its arguments.
    pub arguments: Vec<&'static str>,
    /// The port that it listens on once it is up; none if it does its work and ends.
    pub port: Option<u16>,
}

/// The folder of a program's jars, and its version.
pub struct Home {
    /// The folder of the jars.
    pub jars: PathBuf,
    /// Such as `4.4.0`.
    pub version: String,
}

impl Program {
    /// Looks for it in a folder: a distribution, or one with the jars in it.
    pub fn find(&self, home: &Path) -> anyhow::Result<Home> {
        // It is run in a folder of its own.
        let home = std::path::absolute(home).context("cannot tell the current folder")?;
        for jars in [home.join("libs"), home.join("lib"), home.clone()] {
            let names = std::fs::read_dir(&jars).into_iter().flatten().flatten();
            let names = names.filter_map(|entry| entry.file_name().into_string().ok());
            if let Some(version) = names.filter_map(|name| self.version_in(&name)).next() {
                return Ok(Home { jars, version });
            }
        }
        bail!(
            "there is no {}*.jar in {}, in its lib or in its libs: give {} a distribution of {}, or have \
             `cargo xtask run --scenario brokers --real` fetch it",
            self.jar,
            home.display(),
            self.flag,
            self.title
        )
    }

    fn version_in(&self, name: &str) -> Option<String> {
        let version = name.strip_prefix(self.jar)?.strip_suffix(".jar")?;
        version.starts_with(|first: char| first.is_ascii_digit()).then(|| version.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{kafka::KAFKA, rocketmq::ROCKETMQ};

    #[test]
    fn a_distribution_and_a_folder_of_jars_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let touch = |name: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        };
        assert!(KAFKA.find(folder.path()).is_err());
        touch("libs/kafka-clients-4.4.0.jar");
        touch("libs/kafka-clients-test.jar");
        touch("lib/rocketmq-broker-5.5.0.jar");
        assert_eq!(KAFKA.find(folder.path()).unwrap().version, "4.4.0");
        let home = ROCKETMQ.find(folder.path()).unwrap();
        assert_eq!((home.version.as_str(), home.jars), ("5.5.0", folder.path().join("lib")));
        assert_eq!(ROCKETMQ.find(&folder.path().join("lib")).unwrap().version, "5.5.0");
    }
}
