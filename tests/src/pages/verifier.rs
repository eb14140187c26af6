//! `docs/verifier.md`: the cost of the eBPF programs in the kernel’s verifier, by program and kernel.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use super::series::Series;
use super::{Page, Printed, Source, table};

pub const PAGE: Page = Page {
    name: "matrix: every program’s cost to the verifier",
    file: "docs/verifier.md",
    source: Source::Copytrace(&["doctor", "--programs", "--format", "json"]),
    tier: None,
    check,
    write,
};

/// A quarter of the verifier's limit of instructions: a reserve for later kernels.
const MOST: u64 = 250_000;

const HEAD: &str = "\
# What the eBPF programs cost the verifier

`copytrace doctor --programs` says it of the kernel that it runs on: it loads each program that `run --stacks` needs with `--verify`, and with
`--jvm-copies`.
`cargo xtask test --all --write-docs` writes this. Of the tiers that have a program, the dearest counts; a kernel with –
needs no such program.

## Instructions / states

**given**: the program’s instructions. Else those that the verifier processed, each as often as a way led there, and the states of
registers and stack that it told apart. It gives up at a million instructions; no program may take a quarter of that.
";

const STACK: &str = "
## Stack

Bytes of the program + of each function in it. The verifier allows 512 of all that call each other.
";

/// The output of `copytrace doctor --programs --format json`.
#[derive(Deserialize)]
struct Document {
    kernel: String,
    programs: Vec<Cost>,
}

#[derive(Clone, Deserialize)]
struct Cost {
    program: String,
    given: u64,
    processed: u64,
    states: u64,
    stack: Vec<u32>,
}

type Columns = BTreeMap<Series, BTreeMap<String, Cost>>;

fn check(printed: &Printed) -> Result<()> {
    for Cost { program, processed, .. } in Document::read(printed)?.programs {
        ensure!(processed < MOST, "the verifier processes {processed} instructions of {program}");
    }
    Ok(())
}

fn write(all: &[Printed]) -> Result<String> {
    let mut columns = Columns::new();
    for printed in all {
        let document = Document::read(printed)?;
        let column = columns.entry(Series::of(&document.kernel)?).or_default();
        for cost in document.programs {
            let dearest = column.entry(cost.program.clone()).or_insert_with(|| cost.clone());
            if cost.processed > dearest.processed {
                *dearest = cost;
            }
        }
    }
    let given = |cost: &Cost| cost.given.to_string();
    let processed = |cost: &Cost| format!("{} / {}", cost.processed, cost.states);
    let stack = |cost: &Cost| {
        let frames: Vec<_> = cost.stack.iter().map(u32::to_string).collect();
        frames.join(" + ")
    };
    let instructions = side_by_side(&columns, Some(&given), &processed);
    Ok(format!("{HEAD}\n{instructions}{STACK}\n{}", side_by_side(&columns, None, &stack)))
}

/// A row for each program; first the values that are the same on every kernel, if there is such a column.
fn side_by_side(
    columns: &Columns,
    given: Option<&dyn Fn(&Cost) -> String>,
    text: &dyn Fn(&Cost) -> String,
) -> String {
    let headings = ["program"].into_iter().chain(given.map(|_| "given")).map(str::to_owned);
    let headings: Vec<_> = headings.chain(columns.keys().map(Series::to_string)).collect();
    let names: BTreeSet<_> = columns.values().flat_map(BTreeMap::keys).collect();
    let row = |name: &String| {
        let costs = || columns.values().map(|column| column.get(name));
        let given = given.map(|given| costs().flatten().next().map_or_else(String::new, given));
        let cells = costs().map(|cost| cost.map_or_else(|| "–".to_owned(), text));
        std::iter::once(name.clone()).chain(given).chain(cells).collect()
    };
    table(&headings, names.into_iter().map(row))
}

impl Document {
    fn read(printed: &Printed) -> Result<Self> {
        serde_json::from_str(&printed.text).context("what it printed is not the document")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::check::Tier;

    fn printed(kernel: &str, program: &str, processed: u64) -> Printed {
        let cost = json!({
            "program": program, "given": 90, "kept": 80, "processed": processed, "states": 7,
            "stack": [16, 8]
        });
        let text = json!({ "kernel": kernel, "tier": "kprobe", "programs": [cost] }).to_string();
        Printed { tier: Tier::Kprobe, text }
    }

    #[test]
    fn the_dearest_tier_counts() {
        let all =
            [printed("6.12.1", "a", 100), printed("6.12.1", "a", 120), printed("5.10.2", "b", 3)];
        let page = write(&all).unwrap();
        let table = "| program | given | 5.10 | 6.12 |\n|---|---:|---:|---:|\n\
                     | a | 90 | – | 120 / 7 |\n| b | 90 | 3 / 7 | – |\n";
        assert!(page.contains(table), "{page}");
        assert!(page.ends_with("| a | – | 16 + 8 |\n| b | 16 + 8 | – |\n"), "{page}");
    }

    #[test]
    fn a_program_near_the_limit_is_wrong() {
        check(&printed("6.12.1", "a", MOST - 1)).unwrap();
        assert!(check(&printed("6.12.1", "a", MOST)).is_err());
    }
}
