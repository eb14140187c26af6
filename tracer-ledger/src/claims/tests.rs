//! The verdicts on observations as on a real kernel, under every condition that changes them.

use super::documents::{CLAIMS, STRATEGIES, Strategy};
use super::samples::*;
use super::*;
use crate::{Mover, Observation, Place};

const NO_CONDITION: &[Condition] = &[];

fn judged(observed: &Observation, conditions: &[Condition], id: &str) -> ClaimVerdict {
    let claims = judge_claims(observed, &[&read_write()], conditions);
    claims.into_iter().find(|claim| claim.id == id).unwrap()
}

#[track_caller]
fn expect(observed: &Observation, conditions: &[Condition], expected: &[(&str, Verdict, &str)]) {
    for &(id, verdict, note) in expected {
        let claim = judged(observed, conditions, id);
        assert_eq!(claim.verdict, verdict, "{claim:#?}");
        assert!(claim.note.contains(note), "{claim:#?}");
    }
}

#[test]
fn the_documents_numbers_are_these() {
    let expected = [
        ("read-write", [2.0, 4.0, 2.0, 2.0, 4.0]),
        ("mmap-write", [2.0, 4.0, 1.0, 2.0, 3.0]),
        ("sendfile", [1.0, 2.0, 0.0, 2.0, 2.0]),
    ];
    for (strategy, (name, numbers)) in STRATEGIES.iter().zip(expected) {
        assert_eq!(strategy.name, name);
        assert_eq!(Quantity::ALL.map(|quantity| strategy.documented(quantity)), numbers);
    }
    assert_eq!(Strategy::of("splice"), None);
}

#[test]
fn every_claim_is_about_a_documented_strategy() {
    for claim in &CLAIMS {
        assert!(Strategy::of(claim.strategy).is_some(), "{claim:?}");
        assert!(claim.one_fewer_than.is_none_or(|name| Strategy::of(name).is_some()), "{claim:?}");
    }
}

#[test]
fn read_write_is_confirmed() {
    expect(
        &read_write(),
        NO_CONDITION,
        &[
            ("T1", Verdict::Confirmed, ""),
            ("T2", Verdict::Confirmed, ""),
            (
                "T3",
                Verdict::Confirmed,
                "disk → page cache (DMA) 1.00, page cache → user buffer (CPU) 1.00, \
             user buffer → socket buffer (CPU) 1.00, socket buffer → NIC (DMA) 1.00",
            ),
        ],
    );
}

#[test]
fn mmap_is_called_once_for_all_messages() {
    expect(
        &mmap_write(),
        NO_CONDITION,
        &[
            (
                "M1",
                Verdict::Refined,
                "mmap() is called once for all 256 messages: 1 + 1/256 per message",
            ),
            (
                "M2",
                Verdict::Refined,
                "mmap() is called once for all 256 messages: 2 + 2/256 per message; \
             one page fault per message, in kernel mode: no mode switch",
            ),
            ("M3", Verdict::Confirmed, "page cache → socket buffer (CPU) 1.00"),
            ("M4", Verdict::Confirmed, "1.00 CPU copies fewer than read-write (2.00)"),
        ],
    );
}

#[test]
fn one_message_is_exactly_as_documented() {
    for (observed, ids) in [
        (read_write(), ["T1", "T2", "T3"]),
        (mmap_write(), ["M1", "M2", "M3"]),
        (sendfile(), ["S1", "S2", "S3"]),
    ] {
        let observed = one_message(observed);
        for id in ids {
            expect(&observed, NO_CONDITION, &[(id, Verdict::Confirmed, "")]);
        }
    }
    let faults = "one page fault per message, in kernel mode: no mode switch";
    expect(&one_message(mmap_write()), NO_CONDITION, &[("M2", Verdict::Confirmed, faults)]);
}

#[test]
fn sendfile_is_confirmed() {
    expect(
        &sendfile(),
        NO_CONDITION,
        &[
            ("S1", Verdict::Confirmed, ""),
            ("S2", Verdict::Confirmed, ""),
            ("S3", Verdict::Confirmed, "page cache → socket buffer (by reference) 1.00"),
            ("S4", Verdict::Confirmed, ""),
        ],
    );
}

#[test]
fn faults_in_user_mode_refine_the_mode_switches() {
    let touched = Observation { page_faults_user: 16 * MESSAGES, ..read_write() };
    let claim = judged(&touched, NO_CONDITION, "T2");
    assert_eq!((claim.verdict, claim.measured), (Verdict::Refined, Some(36.0)));
    assert_eq!(
        claim.note,
        "16 page faults per message, in user mode: each is two more mode switches that the \
         textbook leaves out"
    );
    expect(&touched, NO_CONDITION, &[("T1", Verdict::Confirmed, "")]);
}

#[test]
fn partial_writes_refine_and_other_calls_refute() {
    let mut observed = read_write();
    observed.syscalls.insert("write".into(), 260);
    let partial = "write() is called 260 times for 256 messages: partial transfers are finished";
    expect(
        &observed,
        NO_CONDITION,
        &[("T1", Verdict::Refined, partial), ("T2", Verdict::Refined, partial)],
    );
    observed.syscalls.insert("futex".into(), 1);
    expect(&observed, NO_CONDITION, &[("T1", Verdict::Refuted, "futex() is called too, 1 time")]);
    observed.syscalls.remove("write");
    expect(&observed, NO_CONDITION, &[("T1", Verdict::Refuted, "write() was never called")]);
}

#[test]
fn a_warm_cache_saves_the_disk_dma() {
    let reason = "the page cache was warm: no disk DMA";
    for (observed, id) in [(read_write(), "T3"), (mmap_write(), "M3"), (sendfile(), "S3")] {
        expect(&warm(observed), &[Condition::WarmCache], &[(id, Verdict::Refined, reason)]);
    }
    let claim = judged(&warm(sendfile()), &[Condition::WarmCache], "S4");
    assert_eq!(claim.verdict, Verdict::Confirmed);
}

#[test]
fn loopback_has_no_nic() {
    let reason = "loopback has no NIC";
    let observed = to_loopback(read_write());
    expect(&observed, &[Condition::Loopback], &[("T3", Verdict::Refined, reason)]);
    assert_eq!(judged(&observed, &[Condition::Loopback], "T3").measured, Some(3.0));
    let reason = "the network device is virtual";
    expect(&observed, &[Condition::VirtualNic], &[("T3", Verdict::Refined, reason)]);
}

#[test]
fn without_scatter_gather_there_is_one_more_copy() {
    let (conditions, reason) = (&[Condition::NoScatterGather], "scatter-gather is off");
    for (observed, ids) in
        [(read_write(), ["T3", "T3"]), (mmap_write(), ["M3", "M4"]), (sendfile(), ["S3", "S4"])]
    {
        let observed = without_scatter_gather(observed);
        let others = without_scatter_gather(read_write());
        for claim in judge_claims(&observed, &[&others], conditions) {
            if ids.contains(&&*claim.id) {
                assert_eq!(claim.verdict, Verdict::Refined, "{claim:#?}");
                assert_eq!(claim.measured, Some(claim.documented + 1.0));
                assert!(claim.note.contains(reason), "{claim:#?}");
            }
        }
    }
}

#[test]
fn conditions_that_cancel_out_are_still_named() {
    let observed = without_scatter_gather(warm(sendfile()));
    let conditions = [Condition::WarmCache, Condition::NoScatterGather];
    let claim = judged(&observed, &conditions, "S3");
    assert_eq!((claim.verdict, claim.measured), (Verdict::Refined, Some(2.0)));
    assert!(claim.note.contains("warm") && claim.note.contains("scatter-gather"));
}

#[test]
fn the_same_copy_without_its_condition_refutes() {
    let reason = "socket buffer → kernel buffer (CPU) 1.00 is not in the textbook";
    expect(
        &without_scatter_gather(sendfile()),
        NO_CONDITION,
        &[("S3", Verdict::Refuted, reason), ("S4", Verdict::Refuted, reason)],
    );
}

#[test]
fn reading_ahead_is_named() {
    let mut observed = read_write();
    observed.movements[0].bytes += PAYLOAD / 2;
    expect(&observed, NO_CONDITION, &[("T3", Verdict::Refined, "reads ahead")]);
}

#[test]
fn half_an_arrow_refutes() {
    let mut observed = read_write();
    observed.movements[1].bytes /= 2;
    let reason = "page cache → user buffer (CPU) is 0.50, not 1";
    expect(&observed, NO_CONDITION, &[("T3", Verdict::Refuted, reason)]);
}

#[test]
fn another_way_with_as_many_copies_refines() {
    let mut observed = mmap_write();
    observed.movements[1].from = Place::User;
    let reason = "user buffer → socket buffer (CPU) 1.00 is not in the textbook";
    expect(&observed, NO_CONDITION, &[("M3", Verdict::Refined, reason)]);
}

#[test]
fn what_no_witness_saw_is_not_measurable() {
    let mut observed = read_write();
    observed.movements.retain(|movement| movement.by != Mover::Cpu);
    let claim = judged(&observed, NO_CONDITION, "T3");
    assert_eq!((claim.verdict, claim.measured), (Verdict::NotMeasurable, None));
    assert!(claim.note.contains("100 % of the payload was not seen entering the socket"));

    let reason = "no disk → page cache (DMA) was seen, though the payload arrived";
    expect(&warm(read_write()), NO_CONDITION, &[("T3", Verdict::NotMeasurable, reason)]);
    let mut unseen = sendfile();
    unseen.movements.retain(|movement| movement.by != Mover::Reference);
    expect(&unseen, NO_CONDITION, &[("S4", Verdict::NotMeasurable, "entering the socket")]);
}

#[test]
fn derived_numbers_say_what_from() {
    let observed = derived(read_write());
    expect(
        &observed,
        NO_CONDITION,
        &[("T3", Verdict::Confirmed, "derived from sys_exit_read, sys_exit_write")],
    );
    let dma = judge(Quantity::DmaCopies, &observed, NO_CONDITION);
    assert_eq!(dma.provenance, crate::Provenance::Measured);
}

#[test]
fn lost_events_make_a_lower_bound() {
    let observed = Observation { lost_events: 3, ..read_write() };
    let note = "a lower bound: 3 events were lost";
    expect(
        &observed,
        NO_CONDITION,
        &[("T1", Verdict::Confirmed, note), ("T3", Verdict::Confirmed, note)],
    );
}

#[test]
fn one_fewer_must_be_one_fewer() {
    let mut more = read_write();
    more.movements.push(linearised());
    let claims = judge_claims(&mmap_write(), &[&more], NO_CONDITION);
    let claim = claims.iter().find(|claim| claim.id == "M4").unwrap();
    assert_eq!(claim.verdict, Verdict::Refuted);
    assert!(claim.note.starts_with("2.00 CPU copies fewer than read-write (3.00)"), "{claim:?}");
}

#[test]
fn of_other_strategies_the_documents_say_nothing() {
    let observed = Observation { strategy: "splice".into(), ..sendfile() };
    assert!(judge_claims(&observed, &[], NO_CONDITION).is_empty());
    let judgement = judge(Quantity::AllCopies, &observed, NO_CONDITION);
    assert_eq!((judgement.documented, judgement.verdict), (None, None));
    assert_eq!(judgement.measured, Some(2.0));
}
