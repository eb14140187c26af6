//! Details of a report: stacks, threads, descriptors, costs.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::check::{Check, Context, Tier};
use crate::support::traced::folder_with_file;
use xtask::command;

/// Details of a report.
pub const CHECKS: [Check; 4] = [
    Check { name: "stacks: of every copy", run: stacks },
    Check { name: "--per fd", run: descriptors },
    Check { name: "--per thread", run: threads },
    Check { name: "CPU time of the calls", run: costs },
];

/// The document of `copytrace run` with these flags on `dd`, which reads a file under descriptor 0 and
/// writes another one under descriptor 1, in its only thread.
fn of_dd(context: &Context, flags: &[&str]) -> Result<Value> {
    let (folder, file) = folder_with_file()?;
    let (report, copy) = (folder.path().join("report"), folder.path().join("copy"));
    command::run(&mut dd(context, flags, &report, [file, copy]))?;
    serde_json::from_slice(&std::fs::read(report)?).context("the report is no JSON")
}

fn dd(
    context: &Context,
    flags: &[&str],
    report: &Path,
    [file, copy]: [PathBuf; 2],
) -> std::process::Command {
    let mut traced = context.trace_with(flags, report, Path::new("dd"));
    traced.args(["bs=64k", "status=none"]);
    traced.arg(format!("if={}", file.display())).arg(format!("of={}", copy.display()));
    traced
}

/// Every copy has stacks, with the functions of the kernel's source.
fn stacks(context: &Context) -> Result<()> {
    let document = of_dd(context, &["--stacks"])?;
    let stacks = document["stacks"].as_array().context("no stacks")?;
    let bytes: u64 = stacks.iter().filter_map(|stack| stack["bytes"].as_u64()).sum();
    let copied = &document["total"]["cpu_copied_bytes"];
    ensure!(*copied == bytes, "stacks of {bytes} bytes, {copied} were copied");
    let derived = context.tier == Tier::Tracepoint;
    let wanted = if derived { ["read()", "write()"] } else { ["filemap_read", "vfs_write"] };
    for (stack, function) in wanted.into_iter().map(|name| (busiest(stacks, name), name)) {
        let stack = stack.with_context(|| format!("no large copy under {function}: {stacks:?}"))?;
        let provenance = if derived { "derived" } else { "measured" };
        ensure!(stack["provenance"] == provenance, "{stack}");
        ensure!(stack["user"].as_array().is_some_and(|user| !user.is_empty()), "{stack}");
    }
    Ok(())
}

/// A stack of a MiB or more that contains this function or routine.
fn busiest<'a>(stacks: &'a [Value], name: &str) -> Option<&'a Value> {
    stacks.iter().find(|stack| {
        let kernel = stack["kernel"].as_array().into_iter().flatten();
        let mut functions = kernel.map(|frame| &frame["function"]).chain([&stack["routine"]]);
        stack["bytes"].as_u64() >= Some(1 << 20) && functions.any(|function| function == name)
    })
}

fn descriptors(context: &Context) -> Result<()> {
    let flow = copy_flow(of_dd(context, &["--per", "fd"])?)?;
    let ends = [&flow["source"]["descriptor"], &flow["destination"]["descriptor"]];
    ensure!(ends == [0, 1], "descriptors {ends:?}");
    Ok(())
}

fn threads(context: &Context) -> Result<()> {
    let flow = copy_flow(of_dd(context, &["--per", "thread"])?)?;
    let (thread, pid) = (&flow["process"]["thread"], &flow["process"]["pid"]);
    ensure!(thread.is_u64() && thread == pid, "thread {thread} of {pid}");
    Ok(())
}

/// Calls take some time, and not more than the run's on every CPU.
fn costs(context: &Context) -> Result<()> {
    let document = of_dd(context, &[])?;
    let time = document["total"]["cpu_time_ns"].as_u64().context("no time")?;
    let run = document["duration_ns"].as_u64().context("no duration")?;
    let cpus = std::thread::available_parallelism()?.get() as u64;
    ensure!((1..=run * cpus).contains(&time), "{time} ns in a run of {run} ns, {cpus} CPUs");
    Ok(())
}

fn copy_flow(document: Value) -> Result<Value> {
    let flows = document["flows"].as_array().context("no flows")?;
    let is_copy =
        |flow: &&Value| flow["source"]["kind"] == "file" && flow["destination"]["kind"] == "file";
    flows.iter().find(is_copy).cloned().with_context(|| format!("no flow of dd's: {flows:?}"))
}
