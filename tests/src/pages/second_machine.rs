//! What README shows of a transfer to a second machine; a network namespace stands in for it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use xtask::command;
use xtask::setup::foreign::IP;

use super::block::{self, Block};
use super::screen::only;
use super::{Page, Printer, Source};
use crate::check::{Context, Tier};

const NAMESPACE: &str = "second";
const HERE: &str = "10.77.6.1/24";
const THERE: &str = "10.77.6.2/24";
const CONSUMER: &str = "10.77.6.2:7000";

pub static PRINTER: Printer = Printer { name: "second-machine", print };

pub const PAGE: Page = Page {
    name: "matrix: the second machine in README",
    file: "README.md",
    source: Source::Tests(&PRINTER),
    tier: Some(Tier::Fentry),
    check: |_| Ok(()),
    write: |all| BLOCK.insert(&block::read("README.md")?, &only(all)?.text),
};

const BLOCK: Block =
    Block { file: "README.md", name: "second-machine", cut: str::to_owned, mask: masked };

/// Fails if README shows something else than what is printed now.
pub fn compare(context: &Context) -> Result<()> {
    BLOCK.compare(include_str!("../../../README.md"), &print(context)?)
}

/// The consumer's last line, and the last row of `demo`.
fn print(context: &Context) -> Result<String> {
    let network = Network::make(context)?;
    let mut consumer = network.consumer(context)?;
    let demo = demo(context);
    consumer.kill()?;
    let said = consumer.wait_with_output()?.stderr;
    let said = String::from_utf8(said)?;
    let received = said.lines().last().context("the consumer received nothing")?;
    Ok(format!("{received}\n\n{}", last_row(&demo?)))
}

fn demo(context: &Context) -> Result<String> {
    let mut demo = Command::new(&context.copytrace);
    demo.args(["demo", "--to", CONSUMER, "--dir", "/var/tmp", "--tier", context.tier.name()]);
    command::stdout(demo.env("COLUMNS", "80"))
}

/// The head of the table, and the row of `sendfile` with the textbook's numbers.
fn last_row(printed: &str) -> String {
    let table = printed.split("\n\n").nth(1).unwrap_or("");
    let (head, rows) = table.split_at(table.find('─').unwrap_or(0));
    let rule = rows.lines().next().unwrap_or("").trim_start();
    let row = rows.find("sendfile").map_or("", |at| &rows[at..]);
    format!("{}{rule}\n {row}\n", head)
}

/// A namespace, and a pair of virtual devices that connects it. Both end with this.
struct Network<'a>(&'a Context);

impl<'a> Network<'a> {
    fn make(context: &'a Context) -> Result<Self> {
        let network = Self(context);
        network.ip(&["netns", "add", NAMESPACE])?;
        network.ip(&["link", "add", "here", "type", "veth", "peer", "name", "there"])?;
        network.ip(&["link", "set", "there", "netns", NAMESPACE])?;
        network.ip(&["address", "add", HERE, "dev", "here"])?;
        network.ip(&["-n", NAMESPACE, "address", "add", THERE, "dev", "there"])?;
        network.ip(&["link", "set", "here", "up"])?;
        network.ip(&["-n", NAMESPACE, "link", "set", "there", "up"])?;
        Ok(network)
    }

    fn ip(&self, arguments: &[&str]) -> Result<()> {
        command::run(self.0.foreign(&IP)?.command().args(arguments)).map(drop)
    }

    /// A consumer that listens; on stderr it says what it receives.
    fn consumer(&self, context: &Context) -> Result<Child> {
        let mut ip = self.0.foreign(&IP)?.command();
        ip.args(["netns", "exec", NAMESPACE]).arg(context.copytrace.with_file_name("workloads"));
        ip.args(["consume", "--listen", "0.0.0.0:7000"]);
        let mut consumer = ip.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut first = String::new();
        BufReader::new(consumer.stdout.take().context("no pipe")?).read_line(&mut first)?;
        if !first.starts_with("listening") {
            consumer.wait()?;
            bail!("the consumer does not listen: {first}");
        }
        Ok(consumer)
    }
}

impl Drop for Network<'_> {
    fn drop(&mut self) {
        // The devices end with the namespace. The check says what is left.
        let _ = self.ip(&["netns", "delete", NAMESPACE]);
    }
}

/// Without the port and the payload's hash, which is random.
fn masked(text: &str) -> String {
    let (consumer, rest) = text.split_once('\n').unwrap_or((text, ""));
    let port = |word: &str| word.split_once(':').map(|(address, _)| format!("{address}:#"));
    let words: Vec<_> = consumer.split(' ').collect();
    let [address, middle @ .., _] = words.as_slice() else { return text.to_owned() };
    let address = port(address).unwrap_or_default();
    format!("{address} {} #\n{rest}", middle.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_port_and_hash_are_masked() {
        let text = "10.0.0.1:54980: 1677 bytes, blake3 8e99c3\n\n row 1.00\n";
        let other = text.replace("54980", "1").replace("8e99c3", "d0");
        assert_eq!(masked(text), masked(&other));
        for (true_, false_) in [("1677", "1678"), ("1.00", "2.00"), ("10.0.0.1", "10.0.0.2")] {
            assert_ne!(masked(text), masked(&text.replace(true_, false_)));
        }
    }

    #[test]
    fn a_row_has_its_head() {
        let printed =
            " It is right.\n\n name  calls\n ────\n a  2\n sendfile  1\n   textbook  2\n\n x\n";
        assert_eq!(last_row(printed), " name  calls\n ────\n sendfile  1\n   textbook  2\n");
    }
}
