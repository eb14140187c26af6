//! Debian's backports: newer versions of some packages, built for an older release.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::cache::Cache;
use crate::command;

/// Where Debian's own keys are, on a Debian.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A release's backports beside this machine's sources, with lists in a folder of their own: nothing
/// of the machine's configuration changes.
pub struct Backports {
    folder: tempfile::TempDir,
    suite: String,
}

impl Backports {
    /// Fetches the lists of this machine's sources and of its release's backports.
    pub fn of_this_release(cache: &Cache) -> Result<Self> {
        let targets = command::stdout(Command::new("apt-get").args([
            "indextargets",
            "--format",
            "$(ORIGIN)|$(LABEL)|$(CODENAME)|$(REPO_URI)",
        ]))?;
        let (codename, uri) = release(&targets).context("this is no release of Debian")?;
        let backports = Self { folder: cache.scratch()?, suite: format!("{codename}-backports") };
        for folder in ["lists/partial", "archives/partial"] {
            std::fs::create_dir_all(backports.folder.path().join(folder))?;
        }
        let own = std::fs::read_to_string("/etc/apt/sources.list").unwrap_or_default();
        let signed =
            if Path::new(KEYS).exists() { format!("[signed-by={KEYS}] ") } else { String::new() };
        let line = format!("deb {signed}{uri} {} main", backports.suite);
        std::fs::write(backports.folder.path().join("sources.list"), format!("{own}\n{line}\n"))?;
        let update = command::run(
            Command::new("apt-get").args(backports.options()).args(["update", "--quiet"]),
        );
        update.with_context(|| format!("the lists of {} could not be fetched", backports.suite))?;
        Ok(backports)
    }

    /// Options for apt's commands.
    pub fn options(&self) -> Vec<String> {
        let folder = self.folder.path().display();
        let options = [
            format!("Dir::Etc::SourceList={folder}/sources.list"),
            format!("Dir::State::Lists={folder}/lists"),
            format!("Dir::Cache={folder}"),
            format!("APT::Default-Release={}", self.suite),
            // Its own user cannot read a folder of root's.
            "APT::Sandbox::User=root".to_owned(),
        ];
        options.into_iter().flat_map(|option| ["-o".to_owned(), option]).collect()
    }
}

/// Codename and address of the Debian release among the targets of apt's lists.
fn release(targets: &str) -> Option<(&str, &str)> {
    targets.lines().find_map(|line| {
        let [origin, label, codename, uri] = line.split('|').collect::<Vec<_>>()[..] else {
            return None;
        };
        let is_release = (origin, label) == ("Debian", "Debian") && !codename.contains('-');
        is_release.then_some((codename, uri))
    })
}

#[cfg(test)]
mod tests {
    use super::release;

    #[test]
    fn the_release_is_neither_an_update_nor_another_project() {
        let targets = "Node|Node|nodistro|http://node.example/\n\
                       Debian|Debian-Security|bookworm-security|http://example.org/security/\n\
                       Debian|Debian|bookworm-updates|http://example.org/debian/\n\
                       Debian|Debian|bookworm|http://example.org/debian/\n";
        assert_eq!(release(targets), Some(("bookworm", "http://example.org/debian/")));
        assert_eq!(release("Ubuntu|Ubuntu|noble|http://example.org/ubuntu/"), None);
    }
}
