//! A block of a document that shows what a command prints: it is written by `cargo xtask test --write-docs`,
//! and compared by `cargo xtask test`.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

/// A block.
pub struct Block {
    /// The document, in the repository.
    pub file: &'static str,
    /// Its name, which stands in a comment before it.
    pub name: &'static str,
    /// The part of what was printed that it shows.
    pub cut: fn(&str) -> String,
    /// A text without what differs from run to run.
    pub mask: fn(&str) -> String,
}

impl Block {
    /// Fails if the document shows something else than what was printed.
    pub fn compare(&self, document: &str, printed: &str) -> Result<()> {
        let page = Path::new(self.file).file_stem().unwrap_or_default().display();
        let (shown, printed) =
            ((self.mask)(self.find(document)?.1), (self.mask)(&(self.cut)(printed)));
        ensure!(
            shown == printed,
            "{} shows something else: `cargo xtask test --write-docs {page}` writes it anew. \
             Shown:\n{shown}\nprinted:\n{printed}",
            self.file
        );
        Ok(())
    }

    /// The document with what was printed.
    pub fn insert(&self, document: &str, printed: &str) -> Result<String> {
        let (before, _, after) = self.find(document)?;
        Ok(format!("{before}{}{after}", (self.cut)(printed)))
    }

    /// What stands before the block, the block, and what stands after it.
    fn find<'a>(&self, document: &'a str) -> Result<(&'a str, &'a str, &'a str)> {
        let begin = format!("<!-- {} -->\n```\n", self.name);
        let at = document.find(&begin).with_context(|| format!("{} has no {begin}", self.file))?;
        let (before, rest) = document.split_at(at + begin.len());
        let end = rest.find("```").context("the block has no end")?;
        Ok((before, &rest[..end], &rest[end..]))
    }
}

/// A document of this repository as it is now.
pub fn read(file: &str) -> Result<String> {
    let path = xtask::cargo::workspace().join(file);
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_replaced_and_compared() {
        let block = Block {
            file: "x.md",
            name: "name",
            cut: |printed| printed.lines().take(1).collect::<String>() + "\n",
            mask: |text| text.replace('7', "#"),
        };
        let document = "x\n<!-- name -->\n```\nold 7\n```\ny\n";
        let new = "x\n<!-- name -->\n```\nnew\n```\ny\n";
        assert_eq!(block.insert(document, "new\nmore\n").unwrap(), new);
        block.compare(document, "old #\nmore\n").unwrap();
        block.compare(document, "new\n").unwrap_err();
        block.compare("x\n", "old 7\n").unwrap_err();
    }
}
