//! The bpftrace scripts, for the traced processes.

/// Calls and bytes.
const CALLS: &str = include_str!("calls.bt");
/// Copytrace's counts without function probes.
const FLOWS: &str = include_str!("flows.bt");
/// Its additional counts with function probes.
const FUNCTIONS: &str = include_str!("functions.bt");

/// Calls and bytes of these processes.
pub fn calls(pids: &[u32]) -> String {
    traced(CALLS, pids)
}

/// Flows of these processes; with the functions among `symbols`, which is what `/proc/kallsyms`
/// has, if functions can be probed.
pub fn flows(pids: &[u32], symbols: Option<&str>) -> String {
    let functions = symbols.map_or(String::new(), |symbols| known(FUNCTIONS, symbols));
    traced(&format!("{FLOWS}\n{functions}"), pids)
}

fn traced(script: &str, pids: &[u32]) -> String {
    let condition: Vec<_> = pids.iter().map(|pid| format!("pid == {pid}")).collect();
    let condition = condition.join(" || ");
    let fill = |line: &str| match line.split_once("TRACED &&") {
        Some(_) => line.replace("TRACED", &format!("({condition})")),
        None => line.replace("TRACED", &condition),
    };
    // Its comments explain the word, and stay as they are.
    let lines = script.lines().filter(|line| !line.starts_with("//"));
    lines.map(|line| fill(line) + "\n").collect()
}

/// Without the probes of functions that are not among the symbols.
fn known(script: &str, symbols: &str) -> String {
    let names: std::collections::HashSet<_> =
        symbols.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    let is_known = |line: &&str| {
        let function = line.split_once("func:").map(|(_, rest)| rest);
        let name = function.and_then(|rest| rest.split([' ', '/']).next());
        name.is_none_or(|name| names.contains(name))
    };
    script.lines().filter(is_known).map(|line| format!("{line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_about_the_traced_processes() {
        let script = calls(&[7, 9]);
        assert!(script.contains("sys_enter /pid == 7 || pid == 9/"), "{script}");
        assert!(script.contains("/(pid == 7 || pid == 9) && args->ret > 0/"), "{script}");
        let script = flows(&[7, 9], Some("0 T filemap_read"));
        assert!(script.contains("filemap_read /(pid == 7 || pid == 9) && "), "{script}");
        assert!(!script.contains("TRACED"), "{script}");
    }

    #[test]
    fn functions_that_the_kernel_has_not_are_left_out() {
        let script = flows(&[7], Some("ffff T filemap_read\nffff t skb_copy_bits\t[module]\n"));
        assert!(script.contains("kretfunc:filemap_read") && script.contains("kfunc:skb_copy_bits"));
        assert!(!script.contains("do_tcp_sendpages"));
        assert!(!flows(&[7], None).contains("func:"));
    }
}
