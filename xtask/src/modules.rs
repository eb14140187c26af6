//! A kernel's loadable modules: the needed ones, and their order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::command;

/// The modules of one kernel, by name.
pub struct Modules {
    files: BTreeMap<String, PathBuf>,
    /// Where decompressed ones are kept.
    plain: PathBuf,
}

impl Modules {
    /// Looks through a kernel's module folder.
    pub fn open(tree: &Path, plain: PathBuf) -> Result<Self> {
        let mut files = BTreeMap::new();
        collect(tree, &mut files)
            .with_context(|| format!("cannot read the modules in {}", tree.display()))?;
        Ok(Self { files, plain })
    }

    /// The wanted modules and their dependencies, each after its own dependencies. A name without a file
    /// counts as built into the kernel.
    pub fn load_order(&self, wanted: &[&str]) -> Result<Vec<(String, Vec<u8>)>> {
        let (mut order, mut seen) = (Vec::new(), BTreeSet::new());
        for name in wanted {
            self.visit(name, &mut seen, &mut order)?;
        }
        Ok(order)
    }

    fn visit(
        &self,
        name: &str,
        seen: &mut BTreeSet<String>,
        order: &mut Vec<(String, Vec<u8>)>,
    ) -> Result<()> {
        let name = canonical(name);
        let Some(file) = self.files.get(&name) else { return Ok(()) };
        if !seen.insert(name.clone()) {
            return Ok(());
        }
        let module = self.plain_bytes(&name, file)?;
        for needed in dependencies(&module) {
            self.visit(&needed, seen, order)?;
        }
        order.push((name, module));
        Ok(())
    }

    fn plain_bytes(&self, name: &str, file: &Path) -> Result<Vec<u8>> {
        let read = |path: &Path| {
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
        };
        if file.extension().is_some_and(|extension| extension == "ko") {
            return read(file);
        }
        let plain = self.plain.join(format!("{name}.ko"));
        if !plain.exists() {
            let bytes = command::run(Command::new("xz").arg("-dc").arg(file))?.stdout;
            std::fs::create_dir_all(&self.plain)?;
            let unfinished = self.plain.join(format!(".{name}.{}", std::process::id()));
            std::fs::write(&unfinished, bytes)?;
            std::fs::rename(unfinished, &plain)?;
        }
        read(&plain)
    }
}

fn collect(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            collect(&path, files)?;
        } else if let Some((name, "ko" | "ko.xz")) =
            entry.file_name().to_string_lossy().split_once('.')
        {
            files.insert(canonical(name), path);
        }
    }
    Ok(())
}

/// File names and dependency lists disagree about dashes.
fn canonical(name: &str) -> String {
    name.replace('-', "_")
}

/// The dependencies of a module: `depends=a,b` among its NUL-separated properties.
fn dependencies(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|window| window == KEY) else {
        return Vec::new();
    };
    let value = module[at + KEY.len()..].split(|&byte| byte == 0).next().unwrap_or_default();
    let value = String::from_utf8_lossy(value);
    value.split(',').filter(|name| !name.is_empty()).map(canonical).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_module_comes_after_what_it_depends_on() {
        let folder = tempfile::tempdir().unwrap();
        let module = |name: &str, depends: &str| {
            let content = format!("ELF\0license=GPL\0depends={depends}\0name={name}\0");
            std::fs::write(folder.path().join(format!("{name}.ko")), content).unwrap();
        };
        module("ext4", "jbd2,crc-16");
        module("jbd2", "");
        module("crc-16", "");
        let modules = Modules::open(folder.path(), folder.path().join("plain")).unwrap();
        let order = modules.load_order(&["ext4", "jbd2", "built-in"]).unwrap();
        let names: Vec<_> = order.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["jbd2", "crc_16", "ext4"]);
    }
}
