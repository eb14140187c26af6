//! Advice where the kernel refuses eBPF because a capability is missing.

use std::fs;

use tracer::session::Refusal;

/// The refusal, with advice if a capability is missing.
pub fn advise(refusal: Refusal) -> Refusal {
    if refusal.errno() != Some(libc::EPERM) {
        return refusal;
    }
    let users = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    refusal.and(&advice(&users, rustix::process::geteuid().is_root()))
}

/// `users`: the mapping of this namespace's users, from `/proc/PID/uid_map`.
fn advice(users: &str, is_root: bool) -> String {
    /// The identity mapping of all users.
    const NO_NAMESPACE: [&str; 3] = ["0", "0", "4294967295"];
    if !users.split_whitespace().eq(NO_NAMESPACE) {
        return "what may be done in a user namespace, such as a rootless container’s, does not count for \
                eBPF: run copytrace outside, and name the container by `copytrace attach --container`"
            .to_owned();
    }
    if is_root {
        return "root has not all rights here: start the container that this is with `--privileged`, or \
                with `--cap-add SYS_ADMIN`, which its seccomp filter lets eBPF pass for, too"
            .to_owned();
    }
    let path = std::env::current_exe().unwrap_or_else(|_| "copytrace".into());
    format!(
        "it lets only root load programs, or who has CAP_BPF and CAP_PERFMON: run it with sudo, or give it \
         them by `sudo setcap cap_bpf,cap_perfmon=ep {}`, with which whoever may run it can trace \
         everybody",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_depends_on_where_this_is() {
        let everybody = "         0          0 4294967295\n";
        assert!(advice(everybody, false).contains("CAP_BPF"));
        assert!(advice(everybody, true).contains("--cap-add SYS_ADMIN"));
        for is_root in [false, true] {
            let rootless = advice("0 1000 1\n1 100000 65536\n", is_root);
            assert!(rootless.contains("user namespace"), "{rootless}");
        }
    }
}
