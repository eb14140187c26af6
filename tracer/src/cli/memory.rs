//! The free memory of this program's control groups: the kernel charges the eBPF maps to them, and kills
//! a process in them when memory runs out, possibly a traced one.

use std::{
    fs, iter,
    path::{Path, PathBuf},
};

use anyhow::ensure;
use tracer::{
    kernel::Allocation,
    session::{Memory, Purpose, memory},
};
use tracer_ledger::Warning;

/// The rest of a control group's limit, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Left {
    group: PathBuf,
    bytes: u64,
    limit: u64,
}

/// Memory of copytrace itself at its start, in bytes: 17 MiB were observed.
const OWN: u64 = 20 << 20;

/// Divisors of the room in maps, tried in turn.
const SCARCITIES: [u32; 5] = [1, 2, 4, 8, 16];

/// The purpose with as much room as the memory permits, and a warning if it is less than usual. Refuses
/// to start if the least room is too much.
pub fn fit(purpose: Purpose, allocation: Allocation) -> anyhow::Result<(Purpose, Option<Warning>)> {
    let Some(Left { group, bytes, limit }) = least() else { return Ok((purpose, None)) };
    let maps = |scarcity| memory(purpose.with_scarcity(scarcity), allocation);
    let of = SCARCITIES.map(maps).into_iter().collect::<Result<Vec<_>, _>>()?;
    let (scarcity, Memory { at_rest, at_most }) = fitting(bytes, &of);
    if scarcity == 1 {
        return Ok((purpose, None));
    }
    let what = Warning::LittleMemory {
        control_group: group.display().to_string(),
        left_bytes: bytes,
        limit_bytes: limit,
        scarcity,
        at_rest_bytes: at_rest,
        at_most_bytes: at_most,
    };
    ensure!(bytes > at_rest + OWN, "{what}, before the kernel ends a process in it");
    Ok((purpose.with_scarcity(scarcity), Some(what)))
}

/// The least scarcity at which full maps fit, or the greatest; and their memory. `of`: the memory at each
/// of [`SCARCITIES`].
fn fitting(bytes: u64, of: &[Memory]) -> (u32, Memory) {
    let all = || SCARCITIES.into_iter().zip(of.iter().copied());
    let fits = |(_, maps): &(u32, Memory)| maps.at_most + OWN <= bytes;
    all().find(fits).or(all().next_back()).unwrap_or_default()
}

/// The tightest control group among this process's and those above it.
fn least() -> Option<Left> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let (root, path, files) = own.lines().find_map(hierarchy)?;
    let below = root.join(path.trim_start_matches('/'));
    let groups = iter::successors(Some(below.as_path()), |group| group.parent());
    groups
        .take_while(|group| group.starts_with(root))
        .filter_map(|group| left(group, files))
        .min_by_key(|left| left.bytes)
}

/// Names of the files of a control group: its limit, its usage, and the part of the usage that can be
/// reclaimed at once, in `memory.stat`.
type Files = [&'static str; 3];

/// The limits of memory: a line of `/proc/self/cgroup`, as mount point, group and files.
fn hierarchy(line: &str) -> Option<(&'static Path, &str, Files)> {
    const SECOND: Files = ["memory.max", "memory.current", "inactive_file"];
    const FIRST: Files = ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"];
    let mut fields = line.splitn(3, ':').skip(1);
    let (controllers, path) = (fields.next()?, fields.next()?);
    let (root, files) = match controllers {
        "" => ("/sys/fs/cgroup", SECOND),
        _ if controllers.split(',').any(|it| it == "memory") => ("/sys/fs/cgroup/memory", FIRST),
        _ => return None,
    };
    Some((Path::new(root), path, files))
}

fn left(group: &Path, [limit, taken, reclaimable]: Files) -> Option<Left> {
    let number = |file: &str| fs::read_to_string(group.join(file)).ok()?.trim().parse::<u64>().ok();
    let (limit, taken) = (number(limit)?, number(taken)?);
    let stat = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let free = stat.lines().find_map(|line| line.strip_prefix(reclaimable)?.trim().parse().ok());
    let taken = taken.saturating_sub(free.unwrap_or(0));
    Some(Left { group: group.to_owned(), bytes: limit.saturating_sub(taken), limit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_limited_in_one_hierarchy() {
        let found = |line| hierarchy(line).map(|(root, path, _)| (root.to_str().unwrap(), path));
        assert_eq!(found("0::/user.slice/a:b"), Some(("/sys/fs/cgroup", "/user.slice/a:b")));
        assert_eq!(found("4:memory:/x"), Some(("/sys/fs/cgroup/memory", "/x")));
        assert_eq!(found("1:cpu,cpuacct:/x"), None);
        assert_eq!(found("9:name=systemd:/"), None);
    }

    #[test]
    fn maps_have_as_much_room_as_there_is_memory() {
        const MIB: u64 = 1 << 20;
        let of = SCARCITIES.map(|times| {
            let times = u64::from(times);
            Memory { at_rest: 16 * MIB / times, at_most: 96 * MIB / times }
        });
        let scarcity = |mib: u64| fitting(mib * MIB, &of).0;
        assert_eq!([4096, 116, 115, 68, 67, 30, 5].map(scarcity), [1, 1, 2, 2, 4, 16, 16]);
        assert_eq!(fitting(5 * MIB, &of).1, of[4]);
    }

    #[test]
    fn what_can_be_had_back_is_left() {
        let group = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| fs::write(group.path().join(file), text).unwrap();
        let files = ["memory.max", "memory.current", "inactive_file"];
        write("memory.max", "max\n");
        write("memory.current", "700\n");
        assert_eq!(left(group.path(), files), None);
        write("memory.max", "1000\n");
        write("memory.stat", "anon 1\ninactive_file 150\n");
        assert_eq!(left(group.path(), files).unwrap().bytes, 450);
    }
}
