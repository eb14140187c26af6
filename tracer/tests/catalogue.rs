//! The catalogue resolved against kernels recorded with `copytrace doctor --record`.
//!
//! What must come out was written down from the kernels' sources and from disassembling them by
//! other means, not taken from what this program printed.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use tracer::{
    kernel::{Allocation, Facts, Record},
    witness::{
        Plan, PlanError, Tier,
        catalogue::{FUNCTIONS, ROUTINES},
        layout::Subject,
    },
};
use tracer_common::ABSENT;

/// All that were recorded.
const KERNELS: [&str; 5] =
    ["debian-5.10", "debian-6.1", "debian-6.12", "no-kprobes-6.18", "debian-7.2"];

fn recorded(kernel: &str) -> Facts {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernels");
    let file = std::fs::File::open(folder.join(format!("{kernel}.tar.gz"))).unwrap();
    Record::read(file).unwrap().facts().unwrap()
}

fn debian(kernel: &str, tier: Tier) -> Plan {
    Plan::resolve(&recorded(kernel), tier).unwrap()
}

/// The number of calls to each routine, by function.
fn calls(plan: &Plan) -> BTreeMap<(&str, &str), usize> {
    let mut calls = BTreeMap::new();
    for site in &plan.sites {
        *calls.entry((site.caller.as_str(), site.routine.name)).or_default() += 1;
    }
    calls
}

/// The same in both kernels' sources.
const CALLS: &[(&str, &str, usize)] = &[
    ("filemap_read", "copy_page_to_iter", 1),
    ("shmem_file_read_iter", "copy_page_to_iter", 2),
    ("generic_perform_write", "copy_page_from_iter_atomic", 1),
    ("tcp_sendmsg_locked", "_copy_from_iter", 1),
    ("tcp_sendmsg_locked", "_copy_from_iter_nocache", 1),
    ("simple_copy_to_iter", "_copy_to_iter", 1),
    ("skb_copy_datagram_from_iter", "_copy_from_iter", 1),
    ("skb_copy_datagram_from_iter", "copy_page_from_iter", 1),
    ("pipe_write", "copy_page_from_iter", 2),
    ("pipe_read", "copy_page_to_iter", 1),
    ("tcp_recvmsg_locked", "_copy_to_iter", 1),
    ("udp_recvmsg", "_copy_to_iter", 1),
    ("ip_generic_getfrag", "_copy_from_iter", 1),
    ("process_vm_rw_core", "copy_page_to_iter", 1),
    ("process_vm_rw_core", "copy_page_from_iter", 1),
];

#[test]
fn every_copy_on_the_way_of_a_file_or_a_socket_has_its_call_site() {
    for kernel in ["debian-6.1", "debian-6.12"] {
        for tier in [Tier::Kprobe, Tier::Fentry] {
            let plan = debian(kernel, tier);
            let calls = calls(&plan);
            for (caller, routine, count) in CALLS {
                let found = calls.get(&(*caller, *routine)).copied().unwrap_or(0);
                assert_eq!(found, *count, "{kernel}, {tier}: {caller} → {routine}");
            }
        }
    }
}

#[test]
fn the_offsets_are_those_of_the_disassembly() {
    let plan = debian("debian-6.12", Tier::Kprobe);
    let labels: Vec<String> = plan.sites.iter().map(|site| site.label()).collect();
    for label in [
        "tcp_sendmsg_locked+0x375 → _copy_from_iter",
        "generic_perform_write+0x14e → copy_page_from_iter_atomic",
    ] {
        assert!(labels.iter().any(|found| found == label), "no {label} in {labels:#?}");
    }
}

#[test]
fn a_call_at_the_end_of_a_function_is_a_jump() {
    for kernel in ["debian-6.1", "debian-6.12"] {
        let plan = debian(kernel, Tier::Fentry);
        let tails: Vec<_> = plan.sites.iter().filter(|site| site.tail).collect();
        assert!(tails.iter().any(|site| site.caller == "simple_copy_to_iter"), "{kernel}");
    }
}

#[test]
fn each_kernel_passes_pages_to_a_socket_by_its_own_function() {
    for (kernel, symbol) in
        [("debian-6.1", "do_tcp_sendpages"), ("debian-6.12", "skb_splice_from_iter")]
    {
        let symbols: Vec<_> =
            debian(kernel, Tier::Fentry).probes.iter().map(|probe| probe.symbol).collect();
        assert_eq!(symbols[0], symbol, "{kernel}");
        for same in ["skb_zerocopy_iter_stream", "skb_copy_bits", "skb_copy_ubufs"] {
            assert!(symbols.contains(&same), "{kernel}: no {same} in {symbols:?}");
        }
    }
}

#[test]
fn the_kinds_of_iterators_were_renumbered() {
    let kinds = |kernel| debian(kernel, Tier::Kprobe).iterator_kinds;
    let old = kinds("debian-6.1");
    assert_eq!((old[&0], old[&3], old[&6]), ("ITER_IOVEC", "ITER_PIPE", "ITER_UBUF"));
    let new = kinds("debian-6.12");
    assert_eq!((new[&0], new[&1], new[&2]), ("ITER_UBUF", "ITER_IOVEC", "ITER_BVEC"));
    assert!(!new.values().any(|kind| *kind == "ITER_PIPE"), "gone since 6.5");
}

#[test]
fn both_tiers_count_at_the_same_places() {
    for kernel in ["debian-6.1", "debian-6.12"] {
        let places = |tier| -> Vec<u64> {
            debian(kernel, tier).sites.iter().map(|site| site.address).collect()
        };
        assert_eq!(places(Tier::Kprobe), places(Tier::Fentry), "{kernel}");
    }
}

#[test]
fn without_function_probes_tracepoints_stand_in() {
    let plan = debian("no-kprobes-6.18", Tier::Tracepoint);
    assert!(plan.sites.is_empty() && plan.probes.is_empty());
    assert!(plan.tracepoints.iter().any(|witness| witness.name == "skb_copy_datagram_iovec"));
    let better = debian("debian-6.12", Tier::Kprobe);
    assert!(
        better.tracepoints.iter().all(|witness| witness.name != "skb_copy_datagram_iovec"),
        "it would count the receiver's copies twice"
    );
}

#[test]
fn text_that_cannot_be_read_is_said_and_nothing_is_pretended() {
    let mut facts = recorded("debian-6.12");
    facts.without_sites("lockdown".to_owned());
    let plan = Plan::resolve(&facts, Tier::Kprobe).unwrap();
    assert!(plan.sites.is_empty());
    let missing = plan.missing.iter().find(|missing| missing.reason.contains("lockdown")).unwrap();
    assert!(missing.reason.contains("derived"), "{}", missing.reason);
}

#[test]
fn what_a_kernel_lacks_takes_what_needs_it_and_is_named() {
    let mut facts = recorded("debian-6.12");
    facts.fields.remove("sk_buff.len");
    let plan = Plan::resolve(&facts, Tier::Kprobe).unwrap();
    assert!(!plan.knows(Subject::Packets) && plan.knows(Subject::Sockets));
    let missing = |name: &str| plan.missing.iter().find(|missing| missing.witness == name);
    let reason = &missing("net_dev_start_xmit").unwrap().reason;
    assert!(reason.contains("sk_buff.len"), "{reason}");
    assert!(missing("skb_copy_bits").is_some() && missing("block_bio_queue").is_none());
    assert_eq!(plan.layout.skb_data, ABSENT, "a subject is known or not");

    let mut facts = recorded("debian-6.12");
    facts.tracepoints.remove("sys_enter");
    let error = Plan::resolve(&facts, Tier::Kprobe).unwrap_err();
    assert!(matches!(error, PlanError::Tracepoint("sys_enter", _)), "{error}");
}

/// Takes one answer away from each kind of them, by turns.
fn without_one(facts: &Facts) -> Vec<(String, Facts)> {
    let mut all = Vec::new();
    let mut without = |name: &str, take: &dyn Fn(&mut Facts)| {
        let mut fewer = facts.clone();
        take(&mut fewer);
        all.push((name.to_owned(), fewer));
    };
    for name in facts.fields.keys() {
        without(name, &|facts| _ = facts.fields.remove(name));
    }
    for name in facts.sizes.keys() {
        without(name, &|facts| _ = facts.sizes.remove(name));
    }
    for name in facts.enumerators.keys() {
        without(name, &|facts| _ = facts.enumerators.remove(name));
    }
    for name in facts.parameters.keys() {
        without(name, &|facts| _ = facts.parameters.remove(name));
    }
    for name in facts.functions.keys() {
        without(name, &|facts| _ = facts.functions.remove(name));
    }
    for name in facts.symbols.keys() {
        without(name, &|facts| _ = facts.symbols.remove(name));
    }
    for name in facts.texts.iter().map(|text| &text.symbol) {
        without(name, &|facts| facts.texts.retain(|text| text.symbol != *name));
    }
    let always = ["sys_enter", "sys_exit"];
    for name in facts.tracepoints.keys().filter(|name| !always.contains(&name.as_str())) {
        without(name, &|facts| _ = facts.tracepoints.remove(name));
    }
    all
}

/// The parts of a plan, by name.
fn witnesses(plan: &Plan) -> BTreeSet<String> {
    let tracepoints = plan.tracepoints.iter().map(|witness| witness.name.to_owned());
    let probes = plan.probes.iter().map(|probe| format!("{:?}", probe.witness.function));
    let sites = plan.sites.iter().map(|site| site.label());
    tracepoints.chain(probes).chain(sites).collect()
}

/// All that a plan says of what is missing.
fn reasons(plan: &Plan) -> BTreeSet<String> {
    let missing = plan.missing.iter().map(|it| format!("{}: {}", it.witness, it.reason));
    missing.chain(plan.unknown.iter().map(|it| it.reason())).collect()
}

const OF_SOCKETS: &[&str] = &[
    "net_dev_start_xmit",
    "io_uring_complete",
    "CopyBits",
    "CopyAndChecksumBits",
    "CopyUserFragments",
    "ZeroCopyDatagram",
];

/// The readers of a field, an enumerator or a size, by prefixes of their names.
const READERS: &[(&str, &[&str])] = &[
    ("task_struct", &["sched_", "signal_generate", "cgroup_attach_task"]),
    ("signal_struct", &["sched_", "signal_generate", "cgroup_attach_task"]),
    ("sk_buff", &["net_dev_start_xmit", "CopyBits", "CopyAndChecksumBits", "CopyUserFragments"]),
    ("sock", OF_SOCKETS),
    ("file.private_data", OF_SOCKETS),
    ("net_device", &["net_dev_start_xmit"]),
    ("bio_vec", &["block_bio_queue", "SpliceToSocket", "Encrypt"]),
    ("bio.", &["block_bio_queue"]),
    ("BIO_CLONED", &["block_bio_queue"]),
    ("__REQ_META", &["block_bio_queue"]),
    ("page.", &["block_bio_queue", "SpliceToSocket", "Encrypt"]),
    ("iov_iter", &["SpliceToSocket", "→", "net_dev_xmit"]),
    ("ITER_", &["SpliceToSocket", "→", "net_dev_xmit"]),
    ("__zerocopy_sg_from_iter", &["ZeroCopyDatagram"]),
    ("io_kiocb", &["io_uring_complete"]),
    ("aead_request", &["Encrypt"]),
    ("crypto_", &["Encrypt"]),
    ("scatterlist", &["Encrypt"]),
    ("cgroup", &["cgroup_attach_task"]),
    ("kernfs_node", &["cgroup_attach_task"]),
];

/// Whether a witness may go with something of that name.
fn may_go(witness: &str, name: &str) -> bool {
    let function = FUNCTIONS.iter().find(|it| format!("{:?}", it.function) == witness);
    let symbols = function.iter().flat_map(|it| it.candidates).map(|it| it.symbol);
    let is_itself = witness == name || symbols.into_iter().any(|symbol| symbol == name);
    let (caller, routine) = witness.split_once(" → ").unwrap_or_default();
    let at = caller.split_once('+').is_some_and(|(symbol, _)| symbol == name) || routine == name;
    let mut readers = READERS.iter().filter(|(begin, _)| name.starts_with(begin));
    is_itself || at || readers.any(|(_, readers)| readers.iter().any(|it| witness.contains(it)))
}

#[test]
fn one_thing_that_is_missing_takes_what_needs_it_and_nothing_else() {
    for kernel in KERNELS {
        let facts = recorded(kernel);
        for tier in [Tier::Kprobe, Tier::Fentry, Tier::Tracepoint] {
            let whole = Plan::resolve(&facts, tier).unwrap();
            let (had, known) = (witnesses(&whole), reasons(&whole));
            for (name, fewer) in without_one(&facts) {
                let plan = Plan::resolve(&fewer, tier).unwrap();
                let left = witnesses(&plan);
                let mut gone = had.difference(&left).peekable();
                // What is not there is not called.
                let is_routine = ROUTINES.iter().any(|routine| routine.name == name);
                assert!(
                    gone.peek().is_none() || is_routine || !reasons(&plan).is_subset(&known),
                    "{kernel}, {tier}: nothing is said of {name}"
                );
                for witness in gone {
                    assert!(may_go(witness, &name), "{kernel}, {tier}: {name} took {witness}");
                }
            }
        }
    }
}

/// Red Hat's 5.14 and Ubuntu's 5.15: as Debian's 6.1, without what came between.
fn between() -> Facts {
    let mut facts = recorded("debian-6.1");
    for helper in ["BPF_FUNC_find_vma", "BPF_FUNC_get_func_ret", "BPF_FUNC_task_pt_regs"] {
        facts.enumerators.remove(helper);
    }
    facts.enumerators.remove("ITER_UBUF");
    facts.fields.remove("iov_iter.ubuf");
    facts.fields.remove("io_kiocb.cqe.res");
    facts.sizes.remove("bpf_mem_alloc");
    facts.tracepoints.insert("sched_switch".to_owned(), 3);
    facts
}

#[test]
fn a_kernel_of_no_release_that_was_recorded_has_a_plan() {
    for tier in [Tier::Kprobe, Tier::Fentry] {
        let (plan, like) = (Plan::resolve(&between(), tier).unwrap(), debian("debian-6.1", tier));
        assert_eq!(witnesses(&plan), witnesses(&like), "{tier}");
        assert!(!plan.knows(Subject::Mappings) && plan.knows(Subject::Iterators));
        assert_eq!(plan.allocation, Allocation::Beforehand);
    }
}

#[test]
fn each_kernel_has_its_own_names() {
    for (kernel, caller, routine) in [
        ("debian-5.10", "generic_file_buffered_read", "copy_page_to_iter"),
        ("debian-5.10", "generic_perform_write", "iov_iter_copy_from_user_atomic"),
        ("debian-5.10", "tcp_sendmsg_locked", "skb_do_copy_data_nocache"),
        ("debian-7.2", "generic_perform_write", "copy_folio_from_iter_atomic"),
        ("debian-7.2", "anon_pipe_read", "copy_page_to_iter"),
        ("debian-7.2", "anon_pipe_write", "copy_page_from_iter"),
    ] {
        let plan = debian(kernel, Tier::Kprobe);
        assert!(calls(&plan).contains_key(&(caller, routine)), "{kernel}: {caller} → {routine}");
    }
    let oldest = debian("debian-5.10", Tier::Fentry);
    assert_eq!(oldest.iterator_kinds[&16], "ITER_BVEC", "one bit for each kind");
    assert!(!oldest.knows(Subject::Mappings), "bpf_find_vma came with 5.17");
    assert_eq!(oldest.allocation, Allocation::Beforehand);
    let newest = debian("debian-7.2", Tier::Fentry);
    assert!(newest.unknown.is_empty(), "{:?}", newest.unknown);
}

#[test]
fn what_can_be_done_without_is_absent() {
    let mut facts = recorded("debian-6.1");
    facts.fields.remove("iov_iter.ubuf");
    facts.tracepoints.insert("sched_switch".to_owned(), 3);
    let layout = Plan::resolve(&facts, Tier::Kprobe).unwrap().layout;
    assert_eq!((layout.iter_ubuf, layout.switch_state_argument), (ABSENT, ABSENT));
}
