//! `docs/kernels.md`: the copies of each strategy, by kernel and tier.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::series::Series;
use super::{Page, Printed, Source, TIERS, table};
use crate::check::Tier;
use crate::support::document::Strategy;
use crate::support::expected::{BESIDE_HEADERS, COPY_TOLERANCE, FURTHER, STRATEGIES};

pub const PAGE: Page = Page {
    name: "matrix: every strategy’s copies",
    file: "docs/kernels.md",
    source: Source::Copytrace(&[
        "demo",
        "--strategy",
        "all",
        "--to",
        "nic",
        "--cache",
        "cold",
        "--format",
        "json",
    ]),
    tier: None,
    check,
    write,
};

const HEAD: &str = "\
# Kernels

What each strategy costs on each kernel and in each tier, measured in guests, cold to a network card.
`cargo xtask test --all --write-docs` measures and writes this.

A cell has the **copies of a payload byte, by the CPU + by devices**. A number is what the documents, the kernel’s source or
hardware breakpoints say (`tests/src/support/expected.rs`), and what was measured is within 0.02 of it.

| instead | means |
|---|---|
| (2) | derived from what system calls returned, and not measured |
| unseen | no witness sees all of these copies, and no number is given |
| ✘ 1.25, not 1 | what was measured, and what should have been |
| [1] | no number, for the reason below the table |
";

/// The reason for a missing cell: `demo` has measured it several times.
const LOST: &str = "events were lost, whenever it was measured";

/// The first series that copies nothing beside the headers of zero-copy datagrams.
const WITHOUT_COPY: Series = Series::new(6, 0);

/// The reason why one strategy has no expected numbers.
const UNSTEADY: &str = "it differs from run to run: the kernel copies more when it must make room in \
                        the receive queue";

/// The fields of `copytrace demo --format json` that the matrix uses.
#[derive(Deserialize)]
struct Document {
    environment: Environment,
    strategies: Vec<Row>,
}

#[derive(Deserialize)]
struct Environment {
    kernel: String,
    tier: Tier,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Row {
    Skipped { name: String, skipped: String },
    Measured(Box<Strategy>),
}

/// The result of a strategy in one tier on one kernel.
enum Cell {
    Copies { by_cpu: Copies, by_devices: Copies },
    Reason(String),
}

/// Copies per payload byte.
enum Copies {
    Unseen,
    Agree { expected: f64, is_derived: bool },
    Differ { measured: f64, expected: f64 },
}

fn check(printed: &Printed) -> Result<()> {
    let wrong: Vec<_> = Document::read(printed)?
        .cells()?
        .into_iter()
        .filter(|(_, cell)| cell.is_wrong(printed.tier))
        .map(|(strategy, cell)| format!("{strategy}: {}", cell.text(&mut Notes::default())))
        .collect();
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn write(all: &[Printed]) -> Result<String> {
    let documents = all.iter().map(Document::read).collect::<Result<Vec<_>>>()?;
    let mut page = HEAD.to_owned();
    for tier in TIERS {
        let of_tier = documents.iter().filter(|it| it.environment.tier == tier);
        let mut columns = BTreeMap::new();
        for document in of_tier.clone() {
            let cells: BTreeMap<_, _> = document.cells()?.into_iter().collect();
            columns.insert(Series::of(&document.environment.kernel)?, cells);
        }
        let Some(first) = of_tier.clone().next() else { continue };
        page += &format!("\n## {}\n\n{}", tier.name(), section(first, &columns));
    }
    Ok(page)
}

/// The table of a tier, with a row for each strategy, and its notes.
fn section(document: &Document, columns: &BTreeMap<Series, BTreeMap<&str, Cell>>) -> String {
    let mut notes = Notes::default();
    let names = document.strategies.iter().map(Row::name);
    let rows: Vec<_> = names
        .map(|name| {
            let cells = columns.values().map(|cells| cells.get(name));
            let texts = cells.map(|cell| cell.map_or_else(String::new, |it| it.text(&mut notes)));
            std::iter::once(name.to_owned()).chain(texts).collect()
        })
        .collect();
    let series = columns.keys().map(Series::to_string);
    let headings: Vec<_> = std::iter::once("strategy".to_owned()).chain(series).collect();
    table(&headings, rows.into_iter()) + &notes.text()
}

/// The reasons, each once, by number.
#[derive(Default)]
struct Notes(Vec<String>);

impl Notes {
    fn number(&mut self, reason: &str) -> usize {
        let position = self.0.iter().position(|other| other == reason).unwrap_or_else(|| {
            self.0.push(reason.to_owned());
            self.0.len() - 1
        });
        position + 1
    }

    fn text(&self) -> String {
        let note = |(index, reason): (usize, &String)| format!("\n[{}] {reason}\n", index + 1);
        self.0.iter().enumerate().map(note).collect()
    }
}

impl Document {
    fn read(Printed { tier, text }: &Printed) -> Result<Self> {
        let document: Self =
            serde_json::from_str(text).context("what it printed is not the document")?;
        let measured = document.environment.tier;
        ensure!(measured == *tier, "the tier {} was measured", measured.name());
        Ok(document)
    }

    /// Each strategy with its result.
    fn cells(&self) -> Result<Vec<(&str, Cell)>> {
        let release = &self.environment.kernel;
        self.strategies.iter().map(|row| Ok((row.name(), row.cell(release)?))).collect()
    }
}

impl Row {
    fn name(&self) -> &str {
        match self {
            Self::Skipped { name, .. } => name,
            Self::Measured(strategy) => &strategy.name,
        }
    }

    fn cell(&self, release: &str) -> Result<Cell> {
        let series = Series::of(release)?;
        match self {
            Self::Measured(strategy) => Cell::of(strategy, series),
            Self::Skipped { skipped, .. } => {
                Ok(Cell::Reason(skipped.replace(release, &series.to_string())))
            }
        }
    }
}

impl Cell {
    fn of(strategy: &Strategy, series: Series) -> Result<Self> {
        if strategy.lost_events > 0 {
            return Ok(Self::Reason(LOST.to_owned()));
        }
        let documents = STRATEGIES.iter().map(|it| (it.strategy, it.cpu, 2.0, false));
        let further = FURTHER.iter().map(|it| (it.strategy, it.cpu, it.dma, it.receives));
        let expected = documents.chain(further).find(|it| it.0 == strategy.name);
        let Some((_, cpu, dma, receives)) = expected else {
            return Ok(Self::Reason(UNSTEADY.to_owned()));
        };
        let is_more = series < WITHOUT_COPY && BESIDE_HEADERS.0 == strategy.name;
        let cpu = if is_more { BESIDE_HEADERS.1 } else { cpu };
        let put_together = if receives { strategy.put_together() } else { 0.0 };
        Ok(Self::Copies {
            by_cpu: Copies::of(strategy, "cpu-copies", put_together, cpu)?,
            by_devices: Copies::of(strategy, "dma-copies", 0.0, dma)?,
        })
    }

    /// Where functions are probed, no copy has to be derived.
    fn is_wrong(&self, tier: Tier) -> bool {
        let is_wrong = |copies: &Copies| match copies {
            Copies::Unseen => false,
            Copies::Agree { expected, is_derived } => {
                *expected > 0.0 && *is_derived && tier != Tier::Tracepoint
            }
            Copies::Differ { .. } => true,
        };
        match self {
            Self::Copies { by_cpu, by_devices } => is_wrong(by_cpu) || is_wrong(by_devices),
            Self::Reason(_) => false,
        }
    }

    fn text(&self, notes: &mut Notes) -> String {
        match self {
            Self::Copies { by_cpu, by_devices } => format!("{by_cpu} + {by_devices}"),
            Self::Reason(reason) => format!("[{}]", notes.number(reason)),
        }
    }
}

impl Copies {
    /// A number of a strategy, minus `less` that others cause, beside the expected one.
    fn of(strategy: &Strategy, quantity: &str, less: f64, expected: f64) -> Result<Self> {
        let found = strategy.quantity(quantity)?;
        Ok(match found.measured.map(|shown| shown - less) {
            None => Self::Unseen,
            Some(measured) if (measured - expected).abs() <= COPY_TOLERANCE => {
                Self::Agree { expected, is_derived: found.provenance == "derived" }
            }
            Some(measured) => Self::Differ { measured, expected },
        })
    }
}

impl fmt::Display for Copies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = |number: &f64| (number * 100.0).round() / 100.0;
        match self {
            Self::Unseen => f.write_str("unseen"),
            Self::Agree { expected, is_derived: false } => write!(f, "{}", short(expected)),
            Self::Agree { expected, is_derived: true } => write!(f, "({})", short(expected)),
            Self::Differ { measured, expected } => {
                write!(f, "✘ {}, not {}", short(measured), short(expected))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn row(name: &str, cpu: Option<f64>, provenance: &str) -> Value {
        json!({
            "name": name,
            "per_message": { "syscalls": 2.0, "mode_switches": 4.0, "page_faults_user": 0 },
            "copies": { "cpu": 2.0, "dma": 2.0, "total": 4.0 },
            "quantities": [
                { "quantity": "cpu-copies", "measured": cpu, "provenance": provenance },
                { "quantity": "dma-copies", "measured": 2.001, "provenance": provenance },
            ],
            "movements": [], "claims": [], "lost_events": 0
        })
    }

    fn printed(kernel: &str, tier: Tier, strategies: &[Value]) -> Printed {
        let environment = json!({ "kernel": kernel, "tier": tier });
        let text = json!({ "environment": environment, "strategies": strategies }).to_string();
        Printed { tier, text }
    }

    #[test]
    fn a_cell_is_what_was_expected_or_says_what_was_not() {
        let right = [row("read-write", Some(1.999), "measured")];
        let derived = [row("read-write", Some(2.0), "derived")];
        let wrong = [row("read-write", Some(1.25), "measured")];
        let unseen = [row("read-write", None, "measured")];
        check(&printed("6.12.1", Tier::Kprobe, &right)).unwrap();
        check(&printed("6.12.1", Tier::Tracepoint, &derived)).unwrap();
        check(&printed("6.12.1", Tier::Tracepoint, &unseen)).unwrap();
        assert!(check(&printed("6.12.1", Tier::Kprobe, &derived)).is_err());
        let error = check(&printed("6.12.1", Tier::Kprobe, &wrong)).unwrap_err();
        assert_eq!(error.to_string(), "read-write: ✘ 1.25, not 2 + 2");
        assert!(check(&printed("6.12.1", Tier::Fentry, &[])).is_ok());
    }

    #[test]
    fn older_kernels_copy_more() {
        let mut row = row("udp-msg-zerocopy", Some(0.1), "measured");
        row["quantities"][1]["measured"] = Value::Null;
        let rows = [row];
        check(&printed("5.10.0-32-amd64", Tier::Kprobe, &rows)).unwrap();
        let error = check(&printed("6.1.0-56-amd64", Tier::Kprobe, &rows)).unwrap_err();
        assert_eq!(error.to_string(), "udp-msg-zerocopy: ✘ 0.1, not 0 + unseen");
    }

    #[test]
    fn kernels_stand_side_by_side_and_reasons_below() {
        let skipped = json!({ "name": "splice", "skipped": "5.10.0-32-amd64 has no splice" });
        let old = printed("5.10.0-32-amd64", Tier::Kprobe, &[row("read-write", None, ""), skipped]);
        let rows = [row("read-write", Some(2.0), "derived"), row("splice", Some(0.0), "measured")];
        let page = write(&[printed("6.12.117+deb12-amd64", Tier::Kprobe, &rows), old]).unwrap();
        let table = "## kprobe\n\n| strategy | 5.10 | 6.12 |\n|---|---:|---:|\n\
                     | read-write | unseen + 2 | (2) + (2) |\n| splice | [1] | 0 + 2 |\n\
                     \n[1] 5.10 has no splice\n";
        assert!(page.ends_with(table), "{page}");
    }
}
