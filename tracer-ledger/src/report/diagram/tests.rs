//! The pictures that a real kernel's numbers give, and what holds for every picture.

use std::collections::BTreeMap;

use crate::workload::{Cache, Route};
use proptest::prelude::*;

use super::{
    parts::{Arrow, Kind, Spot},
    picture::Picture,
    *,
};
use crate::{
    Movement, Mover, Observation, Place, Provenance, Side, Tier,
    claims::samples::{self, MESSAGE_BYTES, moved, one_message, order},
    report::{
        Environment, MovementRow, Outcome, Payload, Style, Where,
        explain::{Format, write},
        html::tests::{body, fault},
        text::columns,
    },
    words::size,
};

fn environment() -> Environment {
    Environment {
        kernel: "6.12.41+deb13-amd64".into(),
        where_: Where::Vm,
        tier: Tier::Fentry,
        nic: "eth0 (e1000e)".into(),
        scatter_gather: true,
        cache: Cache::Cold,
        disk: "ext4 on vda".into(),
        emulated: true,
        load: None,
    }
}

const PAYLOAD: Payload = Payload { message_bytes: MESSAGE_BYTES, messages: 1 };

fn report_in(environment: Environment, observed: impl IntoIterator<Item = Observation>) -> Report {
    let outcomes: Vec<_> = observed.into_iter().map(Outcome::from).collect();
    Report::new(environment, PAYLOAD, &outcomes)
}

fn report(observed: impl IntoIterator<Item = Observation>) -> Report {
    report_in(environment(), observed)
}

fn textbook() -> [Observation; 3] {
    [samples::read_write(), samples::mmap_write(), samples::sendfile()].map(one_message)
}

/// The driver's copy of each packet's headers.
fn few(mut observed: Observation) -> Observation {
    let mut few = samples::linearised();
    (few.bytes, few.calls) = (24, 6);
    observed.movements.push(few);
    observed
}

/// An observation of one message of another strategy. `movements`: of the whole message each.
fn other(
    strategy: &str,
    route: Route,
    syscalls: &[(&str, u64)],
    movements: &[(Side, Place, Place, Mover)],
) -> Observation {
    let movement = |&(side, from, to, by)| Movement {
        side,
        bytes: MESSAGE_BYTES,
        calls: 1,
        ..moved(from, to, by, "witness")
    };
    let receives = ["recv", "splice-recv", "process-vm-readv"].contains(&strategy);
    Observation {
        strategy: strategy.into(),
        route,
        side: if receives { Receiver } else { Sender },
        message_bytes: MESSAGE_BYTES,
        messages: 1,
        payload_bytes: MESSAGE_BYTES,
        syscalls: syscalls.iter().map(|&(name, made)| (name.into(), made)).collect(),
        call_order: order(syscalls),
        movements: movements.iter().map(movement).collect(),
        ..Observation::default()
    }
}

use Mover::{Cpu, Dma, Reference};
use Place::{Disk, Kernel, Nic, PageCache, Pipe, Socket, User};
use Side::{Receiver, Sender};

fn splice() -> Observation {
    let movements = [
        (Sender, Disk, PageCache, Dma),
        (Sender, PageCache, Pipe, Reference),
        (Sender, PageCache, Socket, Reference),
        (Sender, Socket, Nic, Dma),
        (Receiver, Socket, User, Cpu),
    ];
    other("splice", Route::FileToSocket, &[("splice", 2)], &movements)
}

fn sendfile_file() -> Observation {
    let movements = [
        (Sender, Disk, PageCache, Dma),
        (Sender, PageCache, Pipe, Reference),
        (Sender, PageCache, PageCache, Cpu),
    ];
    other("sendfile-file", Route::FileToFile, &[("sendfile", 1)], &movements)
}

fn process_vm_readv() -> Observation {
    let movements = [(Receiver, User, User, Cpu)];
    let calls = [("process_vm_readv", 1)];
    other("process-vm-readv", Route::ProcessToProcess, &calls, &movements)
}

fn recv() -> Observation {
    let movements =
        [(Sender, User, Socket, Cpu), (Sender, Socket, Nic, Dma), (Receiver, Socket, User, Cpu)];
    other("recv", Route::Receive, &[("recvfrom", 1)], &movements)
}

fn msg_zerocopy() -> Observation {
    let movements = [
        (Sender, Disk, PageCache, Dma),
        (Sender, PageCache, User, Cpu),
        (Sender, User, Socket, Reference),
        (Sender, Socket, Nic, Dma),
    ];
    let calls = [("pread64", 1), ("sendto", 1), ("poll", 1), ("recvmsg", 1)];
    other("msg-zerocopy", Route::FileToSocket, &calls, &movements)
}

/// Pages mapped and copied, in an order of calls that depends on timing.
fn recv_zerocopy() -> Observation {
    let calls = [("getsockopt", 7), ("poll", 7), ("recvfrom", 7)];
    let movements = [
        (Receiver, Socket, User, Reference),
        (Receiver, Socket, User, Cpu),
        (Sender, User, Socket, Cpu),
    ];
    let mut observed = other("recv-zerocopy", Route::Receive, &calls, &movements);
    observed.side = Receiver;
    observed.page_faults_user = 3;
    observed.movements[0].bytes = 61440;
    observed.movements[1].bytes = 4096;
    observed
}

/// The observation with scatter-gather off: the source of the device's read is unknown.
fn linearised() -> Observation {
    let movements = [
        (Sender, Disk, PageCache, Dma),
        (Sender, PageCache, Socket, Reference),
        (Sender, PageCache, Pipe, Reference),
        (Sender, Socket, Kernel, Cpu),
        (Sender, Socket, Nic, Dma),
    ];
    other("sendfile", Route::FileToSocket, &[("sendfile", 1)], &movements)
}

/// Without function probes, and with bytes that no return value tells of.
fn unseen() -> Observation {
    let movements = [
        (Sender, Disk, PageCache, Dma),
        (Sender, PageCache, User, Cpu),
        (Sender, Socket, Nic, Dma),
    ];
    let calls = [("io_uring_enter", 2)];
    let mut observed = other("io-uring-send-zc", Route::FileToSocket, &calls, &movements);
    observed.movements[1].provenance = Provenance::Derived;
    observed.movements[1].witness = "result of io_uring's READ".into();
    observed
}

fn written(format: Format, report: &Report, style: &Style) -> String {
    let mut out = Vec::new();
    write(format, report, style, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

const AT_80: Style = Style::plain(80);

fn drawn(report: &Report) -> String {
    written(Format::Text, report, &AT_80)
}

#[track_caller]
fn snapshot(name: &str, report: &Report) {
    let (unicode, ascii) = (drawn(report), written(Format::Text, report, &ASCII));
    assert!(ascii.is_ascii(), "{ascii}");
    insta::assert_snapshot!(name, format!("{unicode}\n{ascii}"));
}

const ASCII: Style = Style { ascii: true, ..AT_80 };

#[test]
fn the_textbooks_three() {
    snapshot("textbook", &report(textbook().map(few)));
    let at_200 = written(Format::Text, &report(textbook()), &Style::plain(200));
    insta::assert_snapshot!("textbook_at_200", at_200);
}

#[test]
fn scatter_gather_off() {
    let environment = Environment { scatter_gather: false, ..environment() };
    let three = textbook().map(samples::without_scatter_gather).map(one_message);
    snapshot("no_scatter_gather", &report_in(environment.clone(), three));
    snapshot("linearised", &report_in(environment, [linearised()]));
}

#[test]
fn other_ways() {
    for (name, observed) in [
        ("splice", splice()),
        ("sendfile_file", sendfile_file()),
        ("process_vm_readv", process_vm_readv()),
        ("recv", recv()),
        ("msg_zerocopy", msg_zerocopy()),
        ("recv_zerocopy", recv_zerocopy()),
    ] {
        snapshot(name, &report([observed]));
    }
}

#[test]
fn derived_and_unseen_bytes() {
    let environment = Environment { tier: Tier::Tracepoint, ..environment() };
    let derived = samples::derived(one_message(samples::read_write()));
    snapshot("derived", &report_in(environment.clone(), [derived, unseen()]));
    let mut blind = textbook()[2].clone();
    blind.movements.retain(|movement| movement.from != Disk);
    let drawn = drawn(&report_in(environment, [blind]));
    assert!(drawn.contains("unseen") && !drawn.contains(" 0 DMA"), "{drawn}");
}

#[test]
fn forms_for_documents() {
    let three = report(textbook());
    insta::assert_snapshot!("svg", written(Format::Svg, &three, &AT_80));
    let page = written(Format::Html, &three, &AT_80);
    assert_eq!(fault(&page), None);
    insta::assert_snapshot!("page", body(&page));
    insta::assert_snapshot!("mermaid", written(Format::Mermaid, &three, &AT_80));
    let json: serde_json::Value =
        serde_json::from_str(&written(Format::Json, &three, &AT_80)).unwrap();
    assert_eq!(json["schema"], "copytrace/strategies/2");
}

fn pictures_of(observed: Observation) -> (Report, Picture, Layout) {
    let report = report([observed]);
    let (picture, layout) = pictures(&report).remove(0);
    (report, picture, layout)
}

#[test]
fn bytes_do_not_pass_through_user_mode_that_no_program_has() {
    for observed in [samples::without_scatter_gather(one_message(samples::sendfile())), splice()] {
        let (_, picture, layout) = pictures_of(observed);
        assert!(!picture.uses(Spot::User));
        let highest = layout.drawn.iter().flat_map(|drawn| drawn.way.cells()).map(|cell| cell.y);
        assert!(highest.min() > Some(layout.rules[0]));
    }
}

#[test]
fn places_are_the_same_in_every_picture() {
    let mut places = BTreeMap::new();
    for observed in textbook().into_iter().chain([splice(), recv(), msg_zerocopy(), unseen()]) {
        let (_, _, layout) = pictures_of(observed);
        for it in layout.boxes {
            let at = *places.entry(it.name).or_insert(it.area);
            assert_eq!(at, it.area, "{}", it.name);
        }
    }
}

#[test]
fn what_is_only_counted_has_no_number() {
    let (_, picture, layout) = pictures_of(recv_zerocopy());
    assert_eq!(picture.calls.total(), 21);
    let is_numbered =
        |it: &crossing::Crossing| matches!(it.switches, crossing::Switches::Ordered(..));
    assert!(!layout.crossings.is_empty() && !layout.crossings.iter().any(is_numbered));
    let mut partial = textbook()[0].clone();
    partial.syscalls.insert("write".into(), 2);
    let (.., layout) = pictures_of(partial);
    assert!(!layout.crossings.iter().any(is_numbered));
    assert!(layout.lines[0].contains("read() and 2 × write()"), "{:?}", layout.lines);
}

#[test]
fn of_many_messages_one_is_drawn() {
    let mut observed = samples::mmap_write();
    observed.syscalls.insert("write".into(), 300);
    observed.payload_bytes += 1;
    let payload = Payload { messages: observed.messages, ..PAYLOAD };
    let many = Report::new(environment(), payload, &[observed.into()]);
    let (one, besides) = average::of_one_message(&many);
    assert_eq!(besides, [Some("Over all 256 messages: mmap() and 300 × write().".to_owned())]);
    let measured = one.measured().next().unwrap();
    assert_eq!(measured.syscalls, [("write".to_owned(), 1)].into());
    let of_sender = |movement: &&MovementRow| movement.side == Sender;
    let bytes = measured.movements.iter().filter(of_sender).map(|movement| movement.bytes);
    assert!(bytes.clone().count() > 1 && bytes.clone().all(|bytes| bytes == MESSAGE_BYTES));
    assert_eq!(measured.unaccounted_bytes, 1, "what is unseen stays");
}

const HOSTILE: &str = "\u{1b}[31m<script>&\"'`\n|]-->\u{202e}漢字";

fn hostile() -> Report {
    let mut observed = one_message(samples::read_write());
    observed.strategy = HOSTILE.repeat(4);
    observed.syscalls.insert(HOSTILE.into(), 3);
    for movement in &mut observed.movements {
        movement.witness = HOSTILE.into();
        movement.provenance = Provenance::Derived;
    }
    let environment = Environment {
        nic: HOSTILE.into(),
        disk: HOSTILE.into(),
        kernel: HOSTILE.into(),
        ..environment()
    };
    report_in(environment, [observed])
}

#[test]
fn hostile_names_say_nothing_to_a_terminal_or_a_browser() {
    for format in [Format::Text, Format::Svg, Format::Mermaid, Format::Html] {
        let document = written(format, &hostile(), &AT_80);
        let is_control = |it: char| it != '\n' && (it.is_control() || it == '\u{202e}');
        assert!(!document.contains(is_control), "{document}");
        assert!(format == Format::Text || !document.contains("<script"), "{document}");
    }
    check_xml(&written(Format::Svg, &hostile(), &AT_80));
    assert_eq!(fault(&written(Format::Html, &hostile(), &AT_80)), None);
}

#[test]
fn an_svg_is_xml_and_needs_no_other_file() {
    let svg = written(Format::Svg, &report(textbook()), &AT_80);
    check_xml(&svg);
    for foreign in
        ["href", "url(", "@import", "<script", "<image", "on"].map(|it| format!(" {it}="))
    {
        assert!(!svg.contains(&foreign), "{foreign}");
    }
    assert!(svg.contains("<title id=\"title\">") && svg.contains("<desc id=\"desc\">"));
}

#[track_caller]
fn check_xml(text: &str) {
    assert_eq!(roxmltree::Document::parse(text).err(), None, "{text}");
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let many = textbook().into_iter().chain([splice(), recv_zerocopy(), unseen(), linearised()]);
    let many = report(many);
    for width in [66, 80, 100, 133, 140, 200, 240] {
        for report in [&many, &hostile()] {
            for style in [Style::plain(width), Style { ascii: true, ..Style::plain(width) }] {
                let text = written(Format::Text, report, &style);
                let longest = text.lines().map(columns).max().unwrap();
                assert!(longest <= usize::from(width), "{longest} columns of {width}:\n{text}");
            }
        }
    }
}

#[test]
fn colour_changes_nothing_else() {
    let three = report(textbook());
    let coloured = written(Format::Text, &three, &Style { color: true, ..AT_80 });
    let mut parts = coloured.split("\u{1b}[");
    let first = parts.next().unwrap().to_owned();
    let plain = parts.fold(first, |text, part| text + part.split_once('m').unwrap().1);
    let trimmed: Vec<_> = plain.lines().map(str::trim_end).collect();
    assert_eq!(trimmed, drawn(&three).lines().collect::<Vec<_>>());
}

fn any_movement() -> impl Strategy<Value = Movement> {
    let place = || prop::sample::select(vec![Disk, PageCache, User, Socket, Pipe, Kernel, Nic]);
    let mover = prop::sample::select(vec![Dma, Cpu, Reference, Mover::Cipher]);
    let side = prop::sample::select(vec![Sender, Receiver]);
    let provenance = prop::sample::select(vec![Provenance::Measured, Provenance::Derived]);
    (place(), place(), mover, side, provenance, 1..1u64 << 40).prop_map(
        |(from, to, by, side, provenance, bytes)| Movement {
            provenance,
            side,
            bytes,
            ..moved(from, to, by, "witness")
        },
    )
}

fn any_observation() -> impl Strategy<Value = Observation> {
    let movements = prop::collection::vec(any_movement(), 0..14);
    let calls = prop::collection::btree_map("[a-z]{1,9}", 0..6u64, 0..4);
    let route = prop::sample::select(Route::ALL.to_vec());
    (movements, calls, route, 1..1u64 << 40, 0..4u64).prop_map(
        |(movements, syscalls, route, payload_bytes, page_faults_user)| Observation {
            strategy: "any".into(),
            route,
            message_bytes: payload_bytes,
            messages: 1,
            payload_bytes,
            syscalls,
            page_faults_user,
            movements,
            ..Observation::default()
        },
    )
}

/// Whether a line mentions a movement.
fn is_said(lines: &[String], from: &str, bytes: u64) -> bool {
    lines.iter().any(|line| line.contains(from) && line.contains(&size(bytes)))
}

proptest! {
    #[test]
    fn every_movement_is_in_the_picture_with_its_bytes(observed in any_observation()) {
        let (report, picture, layout) = pictures_of(observed);
        let measured = report.measured().next().unwrap();
        let seen = |arrow: &&Arrow| matches!(arrow.kind, Kind::Moved(_));
        // Arrows and lines of text: together all movements, and none twice.
        let mut said = 0;
        for movement in &measured.movements {
            let way = format!("{} → {}", movement.from, movement.to);
            let is_an_arrow = picture.arrows.iter().filter(seen).any(|arrow| {
                arrow.kind == Kind::Moved(movement.by) && arrow.bytes >= Some(movement.bytes)
            });
            let is_said = is_said(&picture.lines, &way, movement.bytes);
            prop_assert!(is_an_arrow || is_said, "{movement:?}");
            let is_shown = movement.side == measured.side || picture.route == Route::ProcessToProcess;
            let few = movement.per_payload_byte < FEW;
            let inside = picture.lines.iter().any(|line| {
                line.starts_with("Inside ") && line.contains(&way) && line.contains(&size(movement.bytes))
            });
            said += if !is_shown || few || inside { movement.bytes } else { 0 };
        }
        let drawn: u64 = picture.arrows.iter().filter(seen).filter_map(|arrow| arrow.bytes).sum();
        let all: u64 = measured.movements.iter().map(|movement| movement.bytes).sum();
        prop_assert_eq!(drawn + said, all);
        // Each arrow is drawn with its bytes, or mentioned in a line.
        for arrow in &picture.arrows {
            let labels = words::labels(arrow);
            let is_drawn = layout.drawn.iter().any(|drawn| {
                drawn.kind == arrow.kind && labels.contains(&drawn.label.text)
            });
            let words = words::arrow(arrow, picture.route);
            prop_assert!(is_drawn || layout.lines.iter().any(|line| line.contains(&words)), "{arrow:?}");
        }
        for format in [Format::Text, Format::Svg, Format::Mermaid] {
            let document = written(format, &report, &ASCII);
            if format == Format::Svg {
                check_xml(&document);
            }
        }
    }

    #[test]
    fn nothing_is_drawn_over_something_else(observed in any_observation()) {
        let (_, _, layout) = pictures_of(observed);
        let mut taken = BTreeMap::new();
        for drawn in &layout.drawn {
            for (cell, into, _) in drawn.way.turns() {
                // Two ways may cross, and no more.
                let other = taken.insert((cell, into.is_vertical()), drawn.kind);
                prop_assert!(other.is_none(), "{cell:?}");
                for it in &layout.boxes {
                    let (x, y) = (it.area.x, it.area.y);
                    let is_in = (x..x + it.area.width).contains(&cell.x)
                        && (y..y + it.area.height).contains(&cell.y);
                    prop_assert!(!is_in, "{cell:?} in {}", it.name);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_page_stands_alone_whatever_is_drawn(observed in any_observation()) {
        let page = written(Format::Html, &report([observed]), &AT_80);
        prop_assert_eq!(fault(&page), None);
    }
}
