//! The part of the flows' document that the checks use.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::check::{Context, Tier};
use crate::support::expected::COPY_TOLERANCE;

/// The part of `copytrace run --format json` that the checks use.
#[derive(Debug, Deserialize)]
pub struct Document {
    pub schema: String,
    pub lost_events: u64,
    pub warnings: Vec<Warning>,
    pub total: Total,
    pub flows: Vec<Flow>,
    /// Of Java virtual machines.
    #[serde(default)]
    pub jvm_copies: Vec<JvmCopies>,
    /// What came of rules, if there were some.
    #[serde(default)]
    pub expectations: Vec<Expectation>,
}

/// A warning about the numbers.
#[derive(Debug, Deserialize)]
pub struct Warning {
    pub code: String,
    pub text: String,
    /// The bytes it is about, if it has a number.
    #[serde(default)]
    pub bytes: u64,
    /// The copy routine of a copy that no call site explains.
    #[serde(default)]
    pub routine: String,
}

#[derive(Debug, Deserialize)]
pub struct Expectation {
    pub rule: String,
    pub held: bool,
    /// None where the verdict is open.
    pub measured: Option<f64>,
    pub bytes: u64,
    pub unseen_bytes: u64,
}

#[derive(Debug, Deserialize)]
pub struct Total {
    pub payload_bytes: u64,
    pub cpu_copied_bytes: u64,
    pub unseen_bytes: u64,
}

#[derive(Debug, Deserialize)]
pub struct Flow {
    pub process: Owner,
    pub side: String,
    pub syscalls: BTreeMap<String, u64>,
    pub source: End,
    pub destination: End,
    pub payload_bytes: u64,
    pub copies_per_byte: Copies,
    pub provenance: String,
    pub unseen: Vec<Unseen>,
    pub verdict: Verdict,
    pub movements: Vec<Movement>,
}

#[derive(Debug, Deserialize)]
pub struct JvmCopies {
    pub process: Owner,
    pub bytes: u64,
    pub calls: u64,
}

#[derive(Debug, Deserialize)]
pub struct Owner {
    pub pid: Option<u32>,
    pub comm: String,
}

#[derive(Debug, Deserialize)]
pub struct End {
    pub kind: String,
    pub name: String,
}

#[derive(Debug, Deserialize)]
pub struct Copies {
    /// None where not all bytes were seen.
    pub cpu: Option<f64>,
    pub dma: Option<f64>,
}

/// Payload that no witness saw move.
#[derive(Debug, Deserialize)]
pub struct Unseen {
    pub bytes: u64,
    pub at: String,
    pub reason: Reason,
}

#[derive(Debug, Deserialize)]
pub struct Reason {
    pub code: String,
    pub text: String,
}

#[derive(Debug, Deserialize)]
pub struct Verdict {
    pub code: String,
    pub text: String,
}

#[derive(Debug, Deserialize)]
pub struct Movement {
    pub from: String,
    pub to: String,
    pub by: String,
    pub bytes: u64,
    /// Bytes verified by hardware breakpoints.
    pub verified_bytes: Option<u64>,
}

/// The calls that move bytes from one descriptor to another.
const PASSES: [&str; 2] = ["sendfile", "copy_file_range"];

impl Document {
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&std::fs::read_to_string(path)?)
    }

    /// A complete document.
    pub fn parse(text: &str) -> Result<Self> {
        let document: Self = serde_json::from_str(text).context("the report is no JSON")?;
        ensure!(document.schema == "copytrace/flows/2", "schema {}", document.schema);
        ensure!(document.lost_events == 0, "{} events were lost", document.lost_events);
        document.balances()?;
        Ok(document)
    }

    /// Checks that the rows are not more than the total.
    fn balances(&self) -> Result<()> {
        let payload: u64 = self.flows.iter().map(|flow| flow.payload_bytes).sum();
        ensure!(payload == self.total.payload_bytes, "{payload} of {}", self.total.payload_bytes);
        let cpu: u64 = self
            .flows
            .iter()
            .flat_map(|flow| &flow.movements)
            .filter(|movement| movement.by == "cpu")
            .map(|movement| movement.bytes)
            .sum();
        ensure!(cpu <= self.total.cpu_copied_bytes, "{cpu} of {}", self.total.cpu_copied_bytes);
        Ok(())
    }

    /// There is a warning with this code.
    pub fn has_warning(&self, code: &str) -> Result<()> {
        let codes: Vec<_> = self.warnings.iter().map(|warning| &warning.code).collect();
        ensure!(codes.iter().any(|it| *it == code), "no {code} among the warnings {codes:?}");
        Ok(())
    }

    /// Bytes that calls took out of the sources that are meant: into memory, or passed on.
    pub fn read_bytes(&self, from: impl Fn(&End) -> bool) -> u64 {
        let read = |flow: &Flow| -> u64 {
            let into_memory = flow.movements.iter().filter(|movement| {
                movement.to == "user" && movement.from != "user" && movement.by == "cpu"
            });
            let passed = flow.syscalls.keys().any(|name| PASSES.contains(&name.as_str()));
            into_memory.map(|movement| movement.bytes).sum::<u64>()
                + if passed { flow.payload_bytes } else { 0 }
        };
        self.flows.iter().filter(|flow| from(&flow.source)).map(read).sum()
    }

    /// Bytes that calls put into the chosen destinations.
    pub fn written_bytes(&self, to: impl Fn(&End) -> bool) -> u64 {
        let written = self
            .flows
            .iter()
            .filter(|flow| flow.destination.kind != "memory" && to(&flow.destination));
        written.map(|flow| flow.payload_bytes).sum()
    }

    /// Checks that hardware breakpoints saw the copies too, at least `least` bytes of them.
    pub fn check_verified(&self, least: u64) -> Result<()> {
        let movements = self.flows.iter().flat_map(|flow| &flow.movements);
        let pairs =
            movements.filter_map(|movement| Some((movement.bytes, movement.verified_bytes?)));
        let (seen, verified) = pairs.fold((0, 0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
        ensure!(seen >= least, "call sites saw {seen} copied bytes, not {least}");
        agrees("call sites and hardware breakpoints", seen, verified)
    }

    /// The flow between ends of these kinds whose names contain these words.
    pub fn flow(&self, source: (&str, &str), destination: (&str, &str)) -> Result<&Flow> {
        let is =
            |end: &End, (kind, name): (&str, &str)| end.kind == kind && end.name.contains(name);
        let found = self
            .flows
            .iter()
            .find(|flow| is(&flow.source, source) && is(&flow.destination, destination));
        found.with_context(|| {
            let known = self.flows.iter().map(|flow| {
                let (from, to) = (&flow.source, &flow.destination);
                format!("{} {} → {} {}", from.kind, from.name, to.kind, to.name)
            });
            let known: Vec<_> = known.collect();
            format!("no flow {source:?} → {destination:?} in:\n{}", known.join("\n"))
        })
    }
}

impl Flow {
    /// Checks the bytes, the CPU copies per byte, and the verdict.
    pub fn check(&self, context: &Context, payload: u64, cpu: f64, verdict: &str) -> Result<()> {
        self.check_payload(payload, cpu)?;
        ensure!(self.verdict.code == verdict, "{}: {}", self.verdict.code, self.verdict.text);
        let provenance = if context.tier == Tier::Tracepoint { "derived" } else { "measured" };
        ensure!(self.provenance == provenance, "it is {}", self.provenance);
        Ok(())
    }

    /// Checks the bytes, and the CPU copies per byte.
    pub fn check_payload(&self, payload: u64, cpu: f64) -> Result<()> {
        agrees("payload", self.payload_bytes, payload)?;
        let copies = self.copies_per_byte.cpu.context("not all was seen to move")?;
        ensure!((copies - cpu).abs() < COPY_TOLERANCE, "{copies} CPU copies per byte, not {cpu}");
        Ok(())
    }
}

/// Two accounts of the same bytes.
pub fn agrees(what: &str, ours: u64, theirs: u64) -> Result<()> {
    let off = ours.abs_diff(theirs) as f64 / theirs.max(1) as f64;
    ensure!(off < COPY_TOLERANCE, "{what}: {ours} bytes, and {theirs}");
    Ok(())
}
