//! Stacks by the names of their functions, looked up while that is possible.

use std::path::PathBuf;

use tracer::{
    naming::{Code, Names, Symbols},
    session::{sighting, stacks::Sample},
    witness::Plan,
};
use tracer_common::stack::Module;
use tracer_ledger::{
    Warning,
    flows::stacks::{Stack, Stacks, Weight, add, without_programs},
};

/// Stacks that are told apart; beyond them the programs' functions are dropped.
const MOST: usize = 50_000;

/// All sightings so far.
#[derive(Default)]
pub struct StackRecorder {
    symbols: Symbols,
    stacks: Stacks,
    /// Whether programs' functions were dropped.
    folded: bool,
}

impl StackRecorder {
    /// Notes a running process.
    pub fn attached(&mut self, process: u32, pid: u32) {
        self.symbols.read(process, pid);
    }

    /// Adds the mappings of processes, whose files are known by name.
    pub fn learn(&mut self, modules: &[Module], names: &mut Names) {
        for Module { process, origin, start, end, offset } in modules {
            if *end == 0 {
                self.symbols.forked(*process, *origin);
            } else {
                let path = reachable(names.object(*origin).name, names.pid(*process));
                let (start, end, offset) = (*start, *end, *offset);
                self.symbols.mapped(*process, Code { start, end, offset, path, exact: None });
            }
        }
    }

    /// Adds the samples since the last reading.
    pub fn add(&mut self, samples: Vec<Sample>, names: &mut Names, plan: &Plan) {
        for Sample { key, tally, kernel, user } in samples {
            let Some(seen) = sighting(&key, plan) else { continue };
            let flow = names.flow(key.flow);
            let stack = Stack {
                kernel: self.symbols.kernel(&kernel),
                user: self.symbols.program(names.owner(key.flow.process), flow.process.pid, &user),
            };
            let weight = Weight { bytes: tally.bytes, calls: tally.calls };
            add(&mut self.stacks, &flow, seen, stack, weight);
        }
        if self.stacks.len() > MOST {
            self.stacks = without_programs(std::mem::take(&mut self.stacks));
            self.folded = true;
        }
    }

    /// All until now.
    pub fn stacks(&self) -> &Stacks {
        &self.stacks
    }

    /// A warning about the stacks.
    pub fn warning(&self) -> Option<Warning> {
        self.folded.then_some(Warning::StacksAdded)
    }
}

/// A path from this mount namespace. A file in another one is reached through the root of the process,
/// while it lives.
fn reachable(path: String, pid: Option<u32>) -> PathBuf {
    match pid {
        Some(pid) if !path.starts_with('/') => {
            PathBuf::from(format!("/proc/{pid}/root")).join(path)
        }
        _ => path.into(),
    }
}
