//! The command's document, as far as the checks look at it, and the checks they share.

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use crate::support::expected::{
    COPY_TOLERANCE, Expected, FURTHER, Further, HEADER_TOLERANCE, STRATEGIES,
};

/// The document of `copytrace demo --format json`.
#[derive(Debug, Deserialize)]
pub struct Document {
    pub schema: String,
    pub environment: Environment,
    pub payload: Payload,
    pub lost_events: u64,
    pub strategies: Vec<Strategy>,
}

/// The kernel and the network of the measurement.
#[derive(Debug, Deserialize)]
pub struct Environment {
    pub tier: String,
    pub nic: String,
    pub scatter_gather: bool,
    /// Whether times mean nothing.
    #[serde(default)]
    pub emulated: bool,
    /// Of the minute before, if times were measured.
    pub load: Option<f64>,
}

/// The messages that were sent.
#[derive(Debug, Deserialize)]
pub struct Payload {
    pub messages: f64,
}

/// One strategy’s row.
#[derive(Debug, Deserialize)]
pub struct Strategy {
    pub name: String,
    pub per_message: PerMessage,
    pub copies: Copies,
    #[serde(default)]
    pub quantities: Vec<Quantity>,
    pub movements: Vec<Movement>,
    pub claims: Vec<Claim>,
    /// The kernel's notifications of the program's zero-copy sends.
    pub zero_copy: Option<ZeroCopy>,
    /// The method by which the received bytes were checked.
    #[serde(default)]
    pub checked_by: String,
    #[serde(default)]
    pub lost_events: u64,
    /// In rounds without probes, if there were some.
    pub speed: Option<Speed>,
}

/// What rounds without probes took.
#[derive(Debug, Deserialize)]
pub struct Speed {
    pub rounds: u64,
    pub bytes_per_second: Spread,
    pub cpu_seconds_per_gb: Spread,
}

/// Of several rounds.
#[derive(Debug, Deserialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

/// The kernel's notifications of a program's zero-copy sends.
#[derive(Debug, Deserialize)]
pub struct ZeroCopy {
    pub notifications: u64,
    pub copied: Option<u64>,
}

/// A number as shown: none where it could not be seen.
#[derive(Debug, Deserialize)]
pub struct Quantity {
    pub quantity: String,
    pub measured: Option<f64>,
    pub provenance: String,
}

/// Counts per message.
#[derive(Debug, Deserialize)]
pub struct PerMessage {
    pub syscalls: f64,
    pub mode_switches: f64,
    pub page_faults_user: f64,
}

/// Copies per payload byte.
#[derive(Debug, Deserialize)]
pub struct Copies {
    pub cpu: f64,
    pub dma: f64,
    pub total: f64,
}

/// Bytes moved from one place to another.
#[derive(Debug, Deserialize)]
pub struct Movement {
    pub from: String,
    pub to: String,
    pub by: String,
    pub side: String,
    pub bytes: u64,
    pub per_payload_byte: f64,
    pub provenance: String,
    #[serde(default)]
    pub witness: String,
    pub verified_bytes: Option<u64>,
}

/// A claim and its verdict.
#[derive(Debug, Deserialize)]
pub struct Claim {
    pub id: String,
    pub verdict: String,
}

impl Document {
    /// Reads a document and checks the invariants of all documents.
    pub fn read(text: &str, tier: &str) -> Result<Self> {
        let document: Self = serde_json::from_str(text).context("stdout is not the document")?;
        ensure!(document.schema == "copytrace/strategies/2", "schema {}", document.schema);
        ensure!(document.lost_events == 0, "{} events were lost", document.lost_events);
        let measured = &document.environment.tier;
        ensure!(measured == tier, "the tier {measured} was measured instead of {tier}");
        Ok(document)
    }

    /// Each expected strategy with its row, or with all rows if it ran more than once.
    pub fn rows(&self) -> Result<Vec<(&'static Expected, &Strategy)>> {
        let mut found = Vec::new();
        for expected in &STRATEGIES {
            let rows = self.strategies.iter().filter(|row| row.name == expected.strategy);
            let before = found.len();
            found.extend(rows.map(|row| (expected, row)));
            ensure!(found.len() > before, "{} is missing", expected.strategy);
        }
        Ok(found)
    }

    /// Each further strategy that ran, with its row.
    pub fn further_rows(&self) -> impl Iterator<Item = (&'static Further, &Strategy)> {
        FURTHER.iter().filter_map(|further| {
            let row = self.strategies.iter().find(|row| row.name == further.strategy)?;
            Some((further, row))
        })
    }

    /// Calls and mode switches are exact in every tier.
    pub fn check_calls(&self) -> Result<()> {
        for (expected, row) in self.rows()? {
            let counts = &row.per_message;
            exactly(
                &row.name,
                "system calls",
                counts.syscalls,
                expected.calls(self.payload.messages),
            )?;
            let switches = 2.0 * (counts.syscalls + counts.page_faults_user);
            exactly(&row.name, "mode switches", counts.mode_switches, switches)?;
        }
        Ok(())
    }

    /// The copies of every strategy: `more` CPU copies than the textbook claims, and `dma` by devices.
    pub fn check_copies(&self, more: f64, dma: f64) -> Result<()> {
        for (expected, row) in self.rows()? {
            let (copies, cpu) = (&row.copies, expected.cpu + more);
            nearly(&row.name, "CPU copies", copies.cpu, cpu)?;
            nearly(&row.name, "DMA copies", copies.dma, dma)?;
            nearly(&row.name, "all copies", copies.total, cpu + dma)?;
        }
        Ok(())
    }

    /// No CPU copy is derived.
    pub fn check_all_measured(&self) -> Result<()> {
        for row in &self.strategies {
            for movement in row.movements.iter().filter(|movement| movement.by == "cpu") {
                ensure!(
                    movement.provenance == "measured",
                    "{}: {movement} is {}",
                    row.name,
                    movement.provenance
                );
            }
        }
        Ok(())
    }

    /// The claims that the expected numbers confirm.
    pub fn check_verdicts(&self) -> Result<()> {
        for (expected, row) in self.rows()? {
            for id in expected.confirmed {
                let verdicts: Vec<_> = row.claims.iter().filter(|claim| claim.id == *id).collect();
                ensure!(!verdicts.is_empty(), "{}: no verdict on claim {id}", row.name);
                if let Some(other) = verdicts.iter().find(|claim| claim.verdict != "confirmed") {
                    bail!("{}: claim {id} is {}", row.name, other.verdict);
                }
            }
        }
        Ok(())
    }
}

impl Strategy {
    /// A number as shown.
    pub fn shown(&self, quantity: &str) -> Result<Option<f64>> {
        Ok(self.quantity(quantity)?.measured)
    }

    /// A number, and its provenance.
    pub fn quantity(&self, quantity: &str) -> Result<&Quantity> {
        let found = self.quantities.iter().find(|row| row.quantity == quantity);
        found.with_context(|| format!("{}: no {quantity}", self.name))
    }

    /// Bytes that the sender’s side moved between two places, per payload byte.
    pub fn sent(&self, from: &str, to: &str) -> f64 {
        self.moved(from, to, |movement| movement.side != "receiver")
    }

    /// Bytes that the kernel copied from received packets into others, per payload byte. If a receiver
    /// falls behind, the kernel collapses the packets of its queue, to have room for more (`tcp_collapse`
    /// in net/ipv4/tcp_input.c): how often depends on the machine's load.
    pub fn put_together(&self) -> f64 {
        let received = |movement: &Movement| movement.side == "receiver" && movement.by == "cpu";
        self.moved("socket", "kernel", received)
    }

    fn moved(&self, from: &str, to: &str, which: impl Fn(&Movement) -> bool) -> f64 {
        self.movements
            .iter()
            .filter(|movement| movement.from == from && movement.to == to && which(movement))
            .map(|movement| movement.per_payload_byte)
            .sum()
    }

    /// The CPU copies at call sites agree with the hardware breakpoints on the copy routines: to the
    /// byte, or up to `fault_tolerance` where a fault splits a copy in two.
    pub fn check_verified(&self, fault_tolerance: f64) -> Result<()> {
        for movement in self.movements.iter().filter(|movement| movement.by == "cpu") {
            let (seen, name) = (movement.bytes, &self.name);
            // The program's own function, and the kernel's copy of whole pages, call no routine with a
            // breakpoint.
            if ["uprobe", "skb_copy_ubufs"].iter().any(|own| movement.witness.starts_with(own)) {
                continue;
            }
            let verified = movement
                .verified_bytes
                .with_context(|| format!("{name}: no breakpoint saw {movement}"))?;
            let allowed = match (movement.from.as_str(), movement.to.as_str()) {
                ("socket", "kernel") => HEADER_TOLERANCE,
                _ => (seen as f64 * fault_tolerance) as u64,
            };
            ensure!(
                seen.abs_diff(verified) <= allowed,
                "{name}: {movement}: call sites saw {seen} bytes, breakpoints {verified}"
            );
        }
        Ok(())
    }

    /// The kernel's notifications of zero-copy sends: it copied this part of them.
    pub fn check_notifications(&self, copied: u64) -> Result<()> {
        let Some(said) = &self.zero_copy else { return Ok(()) };
        let expected = said.notifications * copied;
        // Some kernels do not report it for io_uring.
        ensure!(
            said.copied.is_none_or(|number| number == expected),
            "{}: the kernel says it copied {:?} of {} sends instead of {expected}",
            self.name,
            said.copied,
            said.notifications
        );
        Ok(())
    }

    /// All movements, for a failure's message.
    fn movements(&self) -> String {
        let line = |movement: &Movement| format!("{movement}: {} bytes", movement.bytes);
        self.movements.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// Checks the copies per payload byte.
    pub fn check_further(&self, further: &Further, cpu: f64, dma: f64) -> Result<()> {
        let put_together = if further.receives { self.put_together() } else { 0.0 };
        nearly(&self.name, "CPU copies", self.copies.cpu - put_together, cpu)
            .and_then(|()| nearly(&self.name, "DMA copies", self.copies.dma, dma))
            .with_context(|| self.movements())
    }
}

impl std::fmt::Display for Movement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} → {} by {} ({})", self.from, self.to, self.by, self.side)
    }
}

/// Two numbers must be equal, except for the rounding of a division.
pub fn exactly(strategy: &str, what: &str, measured: f64, expected: f64) -> Result<()> {
    within(strategy, what, measured, expected, 1e-9)
}

/// Two numbers of copies must be equal, except for headers.
pub fn nearly(strategy: &str, what: &str, measured: f64, expected: f64) -> Result<()> {
    within(strategy, what, measured, expected, COPY_TOLERANCE)
}

fn within(strategy: &str, what: &str, measured: f64, expected: f64, off: f64) -> Result<()> {
    ensure!(
        (measured - expected).abs() <= off,
        "{strategy}: {what} are {measured} instead of {expected}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(cpu: f64, provenance: &str) -> Document {
        let row = |name: &str, calls: f64, cpu: f64| {
            serde_json::json!({
                "name": name,
                "per_message": { "syscalls": calls, "mode_switches": 2.0 * calls, "page_faults_user": 0 },
                "copies": { "cpu": cpu, "dma": 2.0, "total": cpu + 2.0 },
                "movements": [{
                    "from": "user", "to": "socket", "by": "cpu", "side": "sender", "bytes": 1,
                    "per_payload_byte": 1.0, "provenance": provenance
                }],
                "claims": []
            })
        };
        let text = serde_json::json!({
            "schema": "copytrace/strategies/2",
            "environment": { "tier": "kprobe", "nic": "eth0", "scatter_gather": true },
            "payload": { "messages": 256 },
            "lost_events": 0,
            "strategies": [
                row("read-write", 2.0, cpu), row("mmap-write", 1.0 + 1.0 / 256.0, 1.0),
                row("sendfile", 1.0, 0.0)
            ]
        });
        Document::read(&text.to_string(), "kprobe").unwrap()
    }

    #[test]
    fn a_right_document_passes() {
        let right = document(2.001, "measured");
        right.check_calls().unwrap();
        right.check_copies(0.0, 2.0).unwrap();
        right.check_all_measured().unwrap();
    }

    #[test]
    fn only_a_receiver_may_put_packets_together() {
        let row = serde_json::json!({
            "name": "recv",
            "per_message": { "syscalls": 1.0, "mode_switches": 2.0, "page_faults_user": 0 },
            "copies": { "cpu": 1.25, "dma": 0.0, "total": 1.25 },
            "movements": [{
                "from": "socket", "to": "kernel", "by": "cpu", "side": "receiver", "bytes": 1,
                "per_payload_byte": 0.25, "provenance": "measured"
            }],
            "claims": []
        });
        let row: Strategy = serde_json::from_value(row).unwrap();
        let of = |name| FURTHER.iter().find(|further| further.strategy == name).unwrap();
        row.check_further(of("recv"), 1.0, 0.0).unwrap();
        assert!(row.check_further(of("recv"), 0.75, 0.0).is_err());
        assert!(row.check_further(of("write"), 1.0, 0.0).is_err());
    }

    #[test]
    fn breakpoints_must_have_seen_what_call_sites_saw() {
        let row = |seen: u64, verified: Option<u64>, witness: &str| -> Strategy {
            let movement = serde_json::json!({
                "from": "user", "to": "socket", "by": "cpu", "side": "sender", "bytes": seen,
                "per_payload_byte": 1.0, "provenance": "measured", "witness": witness,
                "verified_bytes": verified
            });
            let per_message =
                serde_json::json!({ "syscalls": 1.0, "mode_switches": 2.0, "page_faults_user": 0 });
            serde_json::from_value(serde_json::json!({
                "name": "udp-send", "per_message": per_message, "movements": [movement],
                "copies": { "cpu": 1.0, "dma": 0.0, "total": 1.0 }, "claims": [],
                "zero_copy": { "notifications": 4, "copied": 3 }
            }))
            .unwrap()
        };
        let site = "ip_generic_getfrag+0x61 → _copy_from_iter";
        row(10_000, Some(10_000), site).check_verified(0.0).unwrap();
        row(10_000, Some(9_991), site).check_verified(0.001).unwrap();
        row(10_000, None, "uprobe on the program's copying function").check_verified(0.0).unwrap();
        assert!(row(10_000, Some(9_999), site).check_verified(0.0).is_err());
        assert!(row(10_000, None, site).check_verified(0.0).is_err());
        // Three of four is neither all nor none.
        assert!(row(0, None, "uprobe").check_notifications(1).is_err());
        assert!(row(0, None, "uprobe").check_notifications(0).is_err());
    }

    #[test]
    fn a_wrong_one_does_not() {
        assert!(document(2.03, "measured").check_copies(0.0, 2.0).is_err());
        assert!(document(2.0, "measured").check_copies(1.0, 2.0).is_err());
        assert!(document(2.0, "derived").check_all_measured().is_err());
        assert!(document(2.0, "measured").check_verdicts().is_err());
    }
}
