//! `copytrace doctor --programs`: the programs' cost in this kernel's verifier.

use std::{
    cmp::Reverse,
    io::{self, Write},
};

use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};
use serde::Serialize;
use tracer::{
    session::{Cost, Purpose, Wanted, costs},
    witness::{Plan, Tier},
};
use tracer_ledger::flows::Detail;

/// Format of the costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// A table, which is Markdown
    Table,
    /// One JSON document
    Json,
}

/// The loaded programs, and their cost.
#[derive(Serialize)]
pub struct Programs<'a> {
    kernel: &'a str,
    tier: Tier,
    /// The most expensive ones come first.
    programs: Vec<Cost>,
}

/// The purpose with the most work: `run --stacks`.
const PURPOSE: Purpose = Purpose::Flows {
    detail: Detail::Process,
    stacks: true,
    wanted: Wanted { comm: None, cgroup: None, all: false, signals: true },
    scarcity: 1,
};

const HEADINGS: [&str; 6] = ["program", "given", "kept", "processed", "states", "stack"];

impl<'a> Programs<'a> {
    /// Loads all programs of a plan, one by one, and unloads them.
    pub fn load(kernel: &'a str, plan: &Plan) -> anyhow::Result<Self> {
        let mut programs = costs(plan, PURPOSE)?;
        programs.sort_by_key(|cost| (Reverse(cost.processed), cost.program));
        // Two functions may have the same program.
        programs.dedup_by_key(|cost| cost.program);
        Ok(Self { kernel, tier: plan.tier, programs })
    }

    /// Writes them.
    pub fn write(&self, form: Form, out: &mut dyn Write) -> io::Result<()> {
        match form {
            Form::Table => self.table(out),
            Form::Json => {
                serde_json::to_writer_pretty(&mut *out, self)?;
                writeln!(out)
            }
        }
    }

    fn table(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN).set_header(HEADINGS);
        table.add_rows(self.programs.iter().map(cells));
        table.column_iter_mut().skip(1).for_each(|it| it.set_cell_alignment(CellAlignment::Right));
        let processed: u64 = self.programs.iter().map(|cost| cost.processed).sum();
        writeln!(
            out,
            "Linux {}, tier {}: {} programs, {processed} instructions processed\n\n{table}\n\n\
             Instructions: given to the kernel, kept by it, and processed by its verifier, each as often \
             as a way led\nthere. Stack: bytes of the program + of each function in it.",
            self.kernel,
            self.tier,
            self.programs.len(),
        )
    }
}

fn cells(cost: &Cost) -> [String; 6] {
    let Cost { program, given, kept, processed, states, stack } = cost;
    let stack = stack.iter().map(u32::to_string).collect::<Vec<_>>().join(" + ");
    let [given, kept, processed, states] = [given, kept, processed, states].map(u64::to_string);
    [(*program).to_owned(), given, kept, processed, states, stack]
}
