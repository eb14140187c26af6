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
    kernel::{Facts, Record},
    witness::{Plan, PlanError, Tier, layout::Subject},
};
use tracer_common::ABSENT;

/// All that were recorded.
const KERNELS: [&str; 3] = ["debian-6.1", "debian-6.12", "no-kprobes-6.18"];

fn recorded(kernel: &str) -> Facts {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kernels");
    let file = std::fs::File::open(folder.join(format!("{kernel}.tar.gz"))).unwrap();
    Record::read(file).unwrap().facts().unwrap()
}

fn debian(kernel: &str, tier: Tier) -> Plan {
    Plan::resolve(&recorded(kernel), tier).unwrap()
}

/// How many calls to which routine each function makes.
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
        without(name, &|facts| drop(facts.fields.remove(name)));
    }
    for name in facts.sizes.keys() {
        without(name, &|facts| drop(facts.sizes.remove(name)));
    }
    for name in facts.enumerators.keys() {
        without(name, &|facts| drop(facts.enumerators.remove(name)));
    }
    for name in facts.functions.keys() {
        without(name, &|facts| drop(facts.functions.remove(name)));
    }
    for name in facts.symbols.keys() {
        without(name, &|facts| drop(facts.symbols.remove(name)));
    }
    for name in facts.texts.iter().map(|text| &text.symbol) {
        without(name, &|facts| facts.texts.retain(|text| text.symbol != *name));
    }
    let always = ["sys_enter", "sys_exit"];
    for name in facts.tracepoints.keys().filter(|name| !always.contains(&name.as_str())) {
        without(name, &|facts| drop(facts.tracepoints.remove(name)));
    }
    all
}

/// What a plan is made of, by name.
fn witnesses(plan: &Plan) -> BTreeSet<String> {
    let tracepoints = plan.tracepoints.iter().map(|witness| witness.name.to_owned());
    let probes = plan.probes.iter().map(|probe| format!("{:?}", probe.witness.function));
    let sites = plan.sites.iter().map(|site| site.label());
    tracepoints.chain(probes).chain(sites).collect()
}

#[test]
fn one_thing_that_is_missing_takes_what_needs_it_and_nothing_else() {
    for kernel in KERNELS {
        let facts = recorded(kernel);
        for tier in [Tier::Kprobe, Tier::Fentry, Tier::Tracepoint] {
            let whole = Plan::resolve(&facts, tier).unwrap();
            let had = witnesses(&whole);
            for (name, fewer) in without_one(&facts) {
                let plan = Plan::resolve(&fewer, tier).unwrap();
                let gone: Vec<_> = had.difference(&witnesses(&plan)).cloned().collect();
                let said = plan.missing.len() + plan.unknown.len();
                let before = whole.missing.len() + whole.unknown.len();
                assert!(gone.is_empty() || said > before, "{kernel}, {tier}: {name} took {gone:?}");
                let sites = plan.sites.len() + 12 >= whole.sites.len();
                let is_iterators = !plan.knows(Subject::Iterators);
                assert!(is_iterators || sites, "{kernel}, {tier}: {name} took {gone:?}");
                let others = gone.iter().filter(|it| !it.contains('→')).count();
                assert!(others <= 6, "{kernel}, {tier}: {name} took {gone:?}");
            }
        }
    }
}

#[test]
fn what_can_be_done_without_is_absent() {
    let mut facts = recorded("debian-6.1");
    facts.fields.remove("iov_iter.ubuf");
    facts.tracepoints.insert("sched_switch".to_owned(), 3);
    let layout = Plan::resolve(&facts, Tier::Kprobe).unwrap().layout;
    assert_eq!((layout.iter_ubuf, layout.switch_state_argument), (ABSENT, ABSENT));
}
