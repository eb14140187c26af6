//! Containers, found by the control groups of their processes, as named by the usual runtimes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, iter,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{bail, ensure};

use super::spawn::run_as;
use crate::cli::user::User;

/// Prefixes of a container's id in a component of a control group's path; systemd appends `.scope`.
const RUNTIMES: [&str; 5] = ["docker-", "libpod-", "cri-containerd-", "crio-", "nerdctl-"];

/// Prefixes of a container's name in a component, and the characters that end it.
const SCOPES: [(&str, &str); 3] =
    [("machine-", ".scope"), ("systemd-nspawn@", ".service"), ("lxc.payload.", "")];

/// Folders whose next component is a container's id or name, without systemd.
const FOLDERS: [&str; 2] = ["docker", "lxc"];

/// Commands that look up a container's id by its name.
const CLIENTS: [&[&str]; 4] = [
    &["docker", "inspect", "--type", "container", "--format", "{{.Id}}"],
    &["podman", "inspect", "--type", "container", "--format", "{{.Id}}"],
    &["nerdctl", "inspect", "--format", "{{.Id}}"],
    &["crictl", "ps", "--quiet", "--no-trunc", "--name"],
];

/// Digits of a container's id.
const ID: usize = 64;

/// The running containers, each with its processes.
pub struct Containers(BTreeMap<String, BTreeSet<u32>>);

impl Containers {
    /// The containers of these processes.
    pub fn find(pids: impl IntoIterator<Item = u32>) -> Self {
        let mut found = BTreeMap::<_, BTreeSet<_>>::new();
        for pid in pids {
            let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
            for container in containers_in(&groups) {
                found.entry(container.to_owned()).or_default().insert(pid);
            }
        }
        Self(found)
    }

    /// The id of a container, by its name, its id or a prefix of it, or by a name that its runtime knows.
    pub fn resolve(&self, asked: &str) -> anyhow::Result<String> {
        if let Some(found) = self.matching(asked)? {
            return Ok(found);
        }
        // The caller of sudo may have containers that root’s client does not know.
        let caller = User::behind_sudo()?;
        for user in iter::once(None).chain(caller.as_ref().map(Some)) {
            for id in CLIENTS.iter().filter_map(|client| id_by_name(client, user, asked)) {
                if let Some(found) = self.matching(&id)? {
                    return Ok(found);
                }
            }
        }
        let running: Vec<_> = self.0.keys().map(|name| short(name)).collect();
        let running = match &running[..] {
            [] => "none runs here whose control groups are named as docker, podman, containerd, CRI-O, \
                   LXC or systemd-nspawn name them; try --cgroup"
                .to_owned(),
            running => format!("these run: {}", running.join(", ")),
        };
        bail!("there is no container {asked}: {running}")
    }

    fn matching(&self, asked: &str) -> anyhow::Result<Option<String>> {
        if self.0.contains_key(asked) {
            return Ok(Some(asked.to_owned()));
        }
        let begins = |name: &&String| is_id(name) && !asked.is_empty() && name.starts_with(asked);
        let found: Vec<_> = self.0.keys().filter(begins).collect();
        ensure!(
            found.len() < 2,
            "{} containers have ids that begin with {asked}: {}",
            found.len(),
            found.iter().map(|id| short(id)).collect::<Vec<_>>().join(", ")
        );
        Ok(found.first().map(|id| (*id).clone()))
    }

    /// The processes of a container.
    pub fn processes(mut self, container: &str) -> BTreeSet<u32> {
        self.0.remove(container).unwrap_or_default()
    }
}

/// The folder of a container's control group, by that of one of its processes, in version 2's hierarchy.
pub fn control_group(container: &str, pids: impl IntoIterator<Item = u32>) -> Option<PathBuf> {
    pids.into_iter().find_map(|pid| {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
        group_of(path, container).map(|path| ["/sys/fs/cgroup", path].concat().into())
    })
}

/// The part of a path up to the container.
fn group_of<'a>(path: &'a str, container: &str) -> Option<&'a str> {
    containers_of(path).find(|name| *name == container)?;
    let rest = path.split_once(container)?.1;
    let below = rest.find('/').map_or(0, |at| rest.len() - at);
    Some(&path[..path.len() - below])
}

fn is_id(name: &str) -> bool {
    name.len() == ID && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The id as runtimes show it.
fn short(name: &str) -> &str {
    if is_id(name) { &name[..12] } else { name }
}

/// The containers in the lines of `/proc/PID/cgroup`: containers can be nested.
fn containers_in(groups: &str) -> BTreeSet<&str> {
    let paths = groups.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    paths.flat_map(containers_of).collect()
}

fn containers_of(path: &str) -> impl Iterator<Item = &str> {
    let before = [""].into_iter().chain(path.split('/'));
    before.zip(path.split('/')).filter_map(|(before, component)| {
        let id = RUNTIMES.iter().find_map(|start| component.strip_prefix(start));
        let id = id.map(|id| id.strip_suffix(".scope").unwrap_or(id)).filter(|id| is_id(id));
        let scope = SCOPES.iter().find_map(|(start, end)| {
            component.strip_prefix(start)?.strip_suffix(end).filter(|name| !name.is_empty())
        });
        let is_in_folder = FOLDERS.contains(&before) && !component.is_empty();
        let is_in_pod = before.contains("pod") && is_id(component);
        id.or(scope).or((is_in_folder || is_in_pod).then_some(component))
    })
}

/// `user`: the user to run the client as, if not this process’s own.
fn id_by_name(client: &[&str], user: Option<&User>, name: &str) -> Option<String> {
    let (program, arguments) = client.split_first()?;
    let mut command = Command::new(program);
    if let Some(user) = user {
        run_as(&mut command, user).ok()?;
        command.env("XDG_RUNTIME_DIR", format!("/run/user/{}", user.uid)).current_dir("/");
    }
    command.args(arguments).arg(name).stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let mut ids = text.lines().map(str::trim).filter(|line| is_id(line));
    // Several containers of one name count as none.
    match (ids.next(), ids.next()) {
        (Some(id), None) => Some(id.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    const OTHER: &str = "0123ffff89abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn control_groups_are_named_as_runtimes_name_them() {
        let of_pod = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod6f.slice";
        for path in [
            format!("/system.slice/docker-{ONE}.scope"),
            format!("/docker/{ONE}"),
            format!("/docker/{ONE}/init"),
            format!("/machine.slice/libpod-{ONE}.scope/container"),
            format!("/libpod_parent/libpod-{ONE}"),
            format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ONE}.scope"),
            format!("{of_pod}/cri-containerd-{ONE}.scope"),
            format!("{of_pod}/crio-{ONE}.scope"),
            format!("/kubepods/burstable/pod6f01-22/{ONE}"),
        ] {
            assert_eq!(containers_of(&path).collect::<Vec<_>>(), [ONE], "{path}");
        }
        for path in [
            "/machine.slice/machine-web.scope/payload",
            "/machine.slice/systemd-nspawn@web.service/payload",
            "/lxc.payload.web/system.slice",
            "/lxc/web",
        ] {
            assert_eq!(containers_of(path).collect::<Vec<_>>(), ["web"], "{path}");
        }
        let nested = format!("/docker/{OTHER}/kubelet/kubepods/pod6f/{ONE}");
        assert_eq!(containers_of(&nested).collect::<Vec<_>>(), [OTHER, ONE]);
    }

    #[test]
    fn what_is_called_like_a_container_is_none() {
        let monitor = format!("/machine.slice/libpod-conmon-{ONE}.scope");
        for path in [
            "/",
            "/system.slice/redis-server.service",
            "/system.slice/docker.service",
            "/user.slice/user-1000.slice/session-3.scope",
            "/docker/",
            "/libpod_parent/conmon",
            &monitor,
        ] {
            assert_eq!(containers_of(path).next(), None, "{path}");
        }
    }

    #[test]
    fn a_containers_group_ends_with_its_name() {
        let path = format!("/system.slice/docker-{ONE}.scope");
        for below in ["", "/init", "/a/b"] {
            assert_eq!(group_of(&format!("{path}{below}"), ONE), Some(&*path), "{below}");
        }
        assert_eq!(group_of(&format!("/docker/{OTHER}/x"), ONE), None);
    }

    #[test]
    fn both_kinds_of_control_groups_are_understood() {
        let first = format!("12:cpu:/docker/{ONE}\n1:name=systemd:/docker/{ONE}\n");
        let second = format!("0::/system.slice/docker-{ONE}.scope\n");
        for groups in [first, second] {
            assert_eq!(containers_in(&groups), BTreeSet::from([ONE]));
        }
        assert!(containers_in("0::/init.scope\n").is_empty());
    }

    #[test]
    fn an_id_may_be_shortened_while_it_is_one() {
        let names = [ONE, OTHER, "web"].map(|name| (name.to_owned(), BTreeSet::from([7])));
        let containers = Containers(names.into());
        assert_eq!(containers.resolve("01234").unwrap(), ONE);
        assert_eq!(containers.resolve("web").unwrap(), "web");
        let two = containers.resolve("0123").unwrap_err().to_string();
        assert!(two.contains("2 containers") && two.contains("0123ffff89ab"), "{two}");
        let none = containers.resolve("redis").unwrap_err().to_string();
        assert!(none.contains("these run: 0123456789ab, 0123ffff89ab, web"), "{none}");
        // No beginning of a name.
        assert!(containers.resolve("we").is_err());
    }
}
