//! Recordings that copytrace did not write: damaged or malicious. They are refused in one line, or shown;
//! `PROPTEST_CASES=10000` tries more of them.

use std::{collections::BTreeMap, fmt, sync::LazyLock};

use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
    sample::{Index, select},
};
use serde_json::{Value, json};

use super::{
    Environment, Format, Recording, Report,
    diff::{self, Diff},
    pprof,
    tests::{any_name, broken_row, control},
    write,
};
use crate::{
    Movement, Mover, Place, Provenance, Side, Tier, Warning,
    expect::of_flows,
    flows::{
        Calls, Detail, Endpoint, Flow, Kind, Operations, Process, Traffic,
        derive::Witnesses,
        group::{self, Per},
        medium::Medium,
        stacks::{Frame, Seen, Sighting, Stack, Weight},
    },
    report::{Origin, Style, Where, escape, html::tests::fault, write_schema},
};

fn text() -> BoxedStrategy<String> {
    let long = (any_name(), 1..300usize).prop_map(|(name, times)| name.repeat(times));
    let plain =
        select(vec!["", " ", "/", "read", "sendfile", "→", "漢字", "e\u{301}", "(unknown)"]);
    prop_oneof![20 => plain.prop_map(str::to_owned), 9 => any_name(), 1 => long].boxed()
}

/// Numbers of a recording; some have such whose sums are just possible, or are not.
fn number(scale: u32) -> BoxedStrategy<u64> {
    let most = u64::MAX >> scale;
    prop_oneof![Just(0), Just(1), Just(most), 0..=most].boxed()
}

fn medium() -> impl Strategy<Value = Medium> {
    prop_oneof![
        Just(Medium::Usual),
        any::<u32>().prop_map(Medium::FileSystem),
        select(vec![0x9fa0, 0x9123_683e, 0xef53]).prop_map(Medium::FileSystem),
        any::<(u32, u32)>().prop_map(|(major, minor)| Medium::Character(major, minor)),
        any::<(u32, u32)>().prop_map(|(major, minor)| Medium::Block(major, minor)),
        any::<(u16, u16)>().prop_map(|(family, protocol)| Medium::Protocol(family, protocol)),
    ]
}

fn endpoint() -> BoxedStrategy<Endpoint> {
    use Kind::*;
    let kind = select(vec![File, Tcp, Udp, Unix, Pipe, Memory, Other]);
    (kind, text(), text(), option::of(any::<u32>()), medium())
        .prop_map(|(kind, name, group, descriptor, medium)| Endpoint {
            kind,
            name,
            group,
            descriptor,
            medium,
        })
        .boxed()
}

fn flow() -> impl Strategy<Value = Flow> {
    let process = (text(), option::of(any::<u32>()), option::of(any::<u32>()));
    let process = process.prop_map(|(name, pid, thread)| Process { name, pid, thread });
    let source = option::of(prop_oneof![Just(Endpoint::memory()), endpoint()]);
    let destination = prop_oneof![Just(Endpoint::memory()), endpoint()];
    (process, source, destination).prop_map(|(process, source, destination)| Flow {
        process,
        source,
        destination,
    })
}

fn place() -> impl Strategy<Value = Place> {
    use Place::*;
    select(vec![Disk, PageCache, User, Socket, Pipe, Kernel, Nic])
}

fn movement(scale: u32) -> impl Strategy<Value = Movement> {
    let by = select(vec![Mover::Cpu, Mover::Dma, Mover::Reference, Mover::Cipher]);
    let marks = (
        select(vec![Side::Sender, Side::Receiver]),
        select(vec![Provenance::Measured, Provenance::Derived]),
        text(),
    );
    let numbers = (number(scale), number(scale), option::of(number(scale)));
    (place(), place(), by, marks, numbers).prop_map(|(from, to, by, marks, numbers)| {
        let ((side, provenance, witness), (bytes, calls, verified_bytes)) = (marks, numbers);
        Movement { from, to, by, side, provenance, witness, bytes, calls, verified_bytes }
    })
}

fn traffic(scale: u32) -> impl Strategy<Value = Traffic> {
    let calls = (number(scale), number(scale)).prop_map(|(count, bytes)| Calls { count, bytes });
    let operations = (text(), any::<bool>(), calls.clone())
        .prop_map(|(name, on_socket, calls)| Operations { name, on_socket, calls });
    let calls = btree_map(text(), calls, 0..3);
    let lists = (calls, vec(operations, 0..2), vec(movement(scale), 0..4));
    (vec(number(scale), 18), lists).prop_map(|(numbers, (calls, operations, movements))| Traffic {
        payload_bytes: numbers[0],
        calls,
        operations,
        linked_bytes: numbers[1],
        mapped_bytes: numbers[2],
        zero_copy_bytes: numbers[3],
        tls_bytes: numbers[4],
        page_faults_user: numbers[5],
        page_faults_kernel: numbers[6],
        switches_voluntary: numbers[7],
        switches_involuntary: numbers[8],
        nic_header_bytes: numbers[9],
        nic_retransmitted_bytes: numbers[10],
        disk_metadata_bytes: numbers[11],
        cpu_time_ns: numbers[12],
        cpu_cycles: numbers[13],
        direct_bytes: numbers[14],
        upper_bytes: numbers[15],
        linear_bytes: numbers[16],
        linear_packets: numbers[17],
        movements,
        unseen: Vec::new(),
    })
}

fn frames() -> impl Strategy<Value = Vec<Frame>> {
    let frame = (text(), text()).prop_map(|(function, module)| Frame { function, module });
    (vec(frame, 0..3), prop_oneof![4 => Just(1), 1 => 1..60usize])
        .prop_map(|(frames, times)| std::iter::repeat_n(frames, times).flatten().collect())
}

fn sighting(flows: Vec<Flow>) -> impl Strategy<Value = Sighting> {
    let copy = (place(), place(), text());
    let copy = copy.prop_map(|(from, to, routine)| Seen::Copy { from, to, routine });
    let seen = prop_oneof![2 => copy, 1 => text().prop_map(Seen::Call)];
    let flow = if flows.is_empty() { flow().boxed() } else { select(flows).boxed() };
    (flow, seen, frames(), frames())
        .prop_map(|(flow, seen, kernel, user)| (flow, seen, Stack { kernel, user }))
}

fn origin() -> impl Strategy<Value = Origin> {
    let optional = (option::of(text()), option::of(text()));
    (vec(text(), 5), any::<u64>(), optional).prop_map(|(words, cpus, (commit, hypervisor))| {
        let [version, started, host, processor, command_line] = words.try_into().unwrap();
        Origin { version, commit, started, host, processor, cpus, hypervisor, command_line }
    })
}

fn environment() -> impl Strategy<Value = Environment> {
    let tier = select(vec![Tier::Fentry, Tier::Kprobe, Tier::Tracepoint]);
    (text(), select(vec![Where::Host, Where::Vm]), tier, any::<bool>()).prop_map(
        |(kernel, where_, tier, cycles)| Environment {
            kernel,
            where_,
            tier,
            cycles,
            emulated: false,
        },
    )
}

fn of_scale(scale: u32) -> BoxedStrategy<Recording> {
    let ledger = btree_map(flow(), traffic(scale), 0..6);
    let weight = (number(scale), number(scale));
    let weight = weight.prop_map(|(bytes, calls)| Weight { bytes, calls });
    let ledger = ledger.prop_flat_map(move |ledger| {
        let flows = ledger.keys().map(|flow| (flow.clone(), Traffic::default())).collect();
        let flows = group::fold(flows).into_keys().collect();
        let stacks = btree_map(sighting(flows), weight.clone(), 0..4);
        (Just(ledger), option::of(stacks))
    });
    let witnesses = (any::<bool>(), any::<bool>());
    let detail = select(vec![Detail::Process, Detail::Thread, Detail::Descriptor]);
    let words = (text(), vec(text(), 0..3), any::<u64>(), any::<u64>());
    (environment(), words, ledger, witnesses, (detail, option::of(origin())))
        .prop_map(
            |(
                environment,
                (target, warnings, duration, lost_events),
                (ledger, stacks),
                seen,
                (detail, origin),
            )| {
                let witnesses = Witnesses { copies: seen.0, references: seen.1 };
                let mut made = Recording::new(environment, target, duration, ledger, witnesses);
                (made.lost_events, made.warnings) = (
                    lost_events,
                    warnings.into_iter().map(|error| Warning::CountingEnded { error }).collect(),
                );
                (made.detail, made.stacks) = (detail, stacks);
                made.origin = origin;
                made
            },
        )
        .boxed()
}

fn recording() -> impl Strategy<Value = Recording> {
    prop_oneof![4 => Just(24), 3 => Just(10), 1 => Just(0)].prop_flat_map(of_scale)
}

/// Something that is done to one value of a document.
#[derive(Clone, Debug)]
enum Change {
    Replace(Value),
    Remove(Index),
    Repeat(Index),
    Add(String, Value),
}

fn value() -> impl Strategy<Value = Value> {
    let deep = (0..200).fold(json!(0), |inner, _| json!([inner]));
    let others = [json!(null), json!(true), json!([]), json!({}), json!(-1), json!(1e300), deep];
    prop_oneof![
        select(others.to_vec()),
        any::<u64>().prop_map(Value::from),
        Just(json!(u64::MAX)),
        text().prop_map(Value::from),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        value().prop_map(Change::Replace),
        any::<Index>().prop_map(Change::Remove),
        any::<Index>().prop_map(Change::Repeat),
        (text(), value()).prop_map(|(key, value)| Change::Add(key, value)),
    ]
}

/// Every value in a document is chosen in turn.
fn nth<'a>(value: &'a mut Value, left: &mut usize) -> Option<&'a mut Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    match value {
        Value::Array(values) => values.iter_mut().find_map(|value| nth(value, left)),
        Value::Object(fields) => fields.values_mut().find_map(|value| nth(value, left)),
        _ => None,
    }
}

fn values(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(values).sum(),
        Value::Object(fields) => fields.values().map(values).sum(),
        _ => 0,
    }
}

fn changed(mut document: Value, changes: Vec<(Index, Change)>) -> Value {
    for (at, change) in changes {
        let mut left = at.index(values(&document));
        match (nth(&mut document, &mut left).unwrap(), change) {
            (value, Change::Replace(other)) => *value = other,
            (Value::Array(values), Change::Remove(at)) if !values.is_empty() => {
                values.remove(at.index(values.len()));
            }
            (Value::Array(values), Change::Repeat(at)) if !values.is_empty() => {
                values.push(values[at.index(values.len())].clone());
            }
            (Value::Object(fields), Change::Remove(at)) if !fields.is_empty() => {
                let key = fields.keys().nth(at.index(fields.len())).cloned().unwrap();
                fields.remove(&key);
            }
            (Value::Object(fields), Change::Add(key, value)) => drop(fields.insert(key, value)),
            _ => {}
        }
    }
    document
}

/// Something that is done to a text.
#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Cut(Index, usize),
    Insert(Index, Vec<u8>),
    Repeat(Index, usize, usize),
    End(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let pieces = [
        "[",
        "{",
        "\"",
        ",",
        "null,",
        "1e999",
        "\\ud800",
        "\"a\":1,",
        "-",
        "\x1b[2J",
        "\u{feff}",
        "\"bytes\":18446744073709551615,",
        "\"format\":\"copytrace/ledger/3\",",
    ];
    let pieces = select(pieces.to_vec()).prop_map(|piece| piece.as_bytes().to_vec());
    let inserted = prop_oneof![pieces, vec(any::<u8>(), 1..20), Just(b"[".repeat(300))];
    let at = any::<Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        (at(), 1..50usize).prop_map(|(at, length)| Damage::Cut(at, length)),
        (at(), inserted).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (at(), 1..400usize, 1..9usize)
            .prop_map(|(at, size, times)| Damage::Repeat(at, size, times)),
        at().prop_map(Damage::End),
    ]
}

fn damaged(mut text: Vec<u8>, damage: Vec<Damage>) -> Vec<u8> {
    for damage in damage {
        let place = |at: Index| at.index(text.len() + 1);
        let piece = |at: usize, size: usize| at..text.len().min(at + size);
        match damage {
            Damage::Flip(at, bits) => {
                text.iter_mut().skip(at.index(1 << 14)).take(1).for_each(|byte| *byte ^= bits)
            }
            Damage::Cut(at, size) => drop(text.drain(piece(place(at), size))),
            Damage::Insert(at, bytes) => drop(text.splice(place(at)..place(at), bytes)),
            Damage::Repeat(at, size, times) => {
                let piece = piece(place(at), size);
                let repeated = text[piece.clone()].repeat(times);
                drop(text.splice(piece, repeated));
            }
            Damage::End(at) => text.truncate(place(at)),
        }
    }
    text
}

/// The text of a recording to which something was done.
struct Text(Vec<u8>);

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(&self.0).fmt(f)
    }
}

fn any_text() -> impl Strategy<Value = Text> {
    let changes = vec((any::<Index>(), change()), 0..3);
    let damage = prop_oneof![3 => Just(Vec::new()), 2 => vec(damage(), 1..4)];
    (recording(), changes, damage).prop_map(|(recording, changes, damage)| {
        let document = changed(serde_json::to_value(recording).unwrap(), changes);
        Text(damaged(serde_json::to_vec(&document).unwrap(), damage))
    })
}

fn style() -> impl Strategy<Value = Style> {
    select(vec![0, 1, 20, 80, 100]).prop_map(Style::plain)
}

fn per() -> impl Strategy<Value = Per> {
    select(&Per::ALL[..])
}

const TEXTS: [(&str, Format); 7] = [
    ("table", Format::Table),
    ("markdown", Format::Markdown),
    ("html", Format::Html),
    ("csv", Format::Csv),
    ("json", Format::Json),
    ("jsonl", Format::Jsonl),
    ("folded", Format::Folded),
];

fn rendered(report: &Report, style: &Style) -> BTreeMap<&'static str, String> {
    let text = |format| {
        let mut out = Vec::new();
        write(format, report, style, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    TEXTS.map(|(name, format)| (name, text(format))).into()
}

static SCHEMA: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    let mut schema = Vec::new();
    write_schema::<Report>(super::SCHEMA, &mut schema).unwrap();
    jsonschema::validator_for(&serde_json::from_slice(&schema).unwrap()).unwrap()
});

/// All formats can be written and read, and control nothing that shows them.
fn is_harmless(report: &Report, style: &Style) -> Result<(), TestCaseError> {
    let texts = rendered(report, style);
    for (format, text) in &texts {
        prop_assert_eq!(control(text), None, "{}: {:?}", format, text);
    }
    let document: Value = serde_json::from_str(&texts["json"])?;
    let wrong = SCHEMA.validate(&document).err().map(|error| error.to_string());
    prop_assert_eq!(wrong, None);
    let mut line: Value = serde_json::from_str(&texts["jsonl"])?;
    prop_assert_eq!(texts["jsonl"].lines().count(), 1);
    prop_assert!(line.as_object_mut().is_some_and(|line| line.remove("since_last").is_some()));
    prop_assert_eq!(line, document);
    let lines = csv::Reader::from_reader(texts["csv"].as_bytes()).into_records();
    let lines: Vec<csv::StringRecord> = lines.collect::<Result<_, _>>()?;
    prop_assert_eq!(lines.len(), report.flows.len());
    prop_assert_eq!(broken_row(&texts["markdown"]), None);
    prop_assert_eq!(fault(&texts["html"]), None, "{}", &texts["html"]);
    let stacks = report.stacks.as_deref().unwrap_or_default();
    prop_assert_eq!(texts["folded"].lines().count(), stacks.len());
    let mut profile = Vec::new();
    write(Format::Pprof, report, style, &mut profile).unwrap();
    prop_assert_eq!(pprof::read(&profile).len(), stacks.len());
    Ok(())
}

fn are_harmless_beside(one: &Report, other: &Report, style: &Style) -> Result<(), TestCaseError> {
    use crate::report::Format::{Html, Json, Table};
    let diff = Diff::new(one, other);
    for format in [Table, Json, Html] {
        let mut text = Vec::new();
        diff::write(format, &diff, style, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        prop_assert_eq!(control(&text), None, "{:?}", text);
        let fault = if format == Html { fault(&text) } else { None };
        prop_assert_eq!(fault, None, "{:?}", text);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_recording_is_refused_or_shown(
        texts in [any_text(), any_text()],
        per in per(),
        style in style(),
    ) {
        let mut reports = Vec::new();
        for text in texts {
            match Recording::parse(&text.0) {
                Err(error) => {
                    prop_assert!(error.chars().count() < 300, "{}", error);
                    prop_assert_eq!(escape::plain(&error), error.as_str());
                }
                Ok(recording) => {
                    let rules = ["copies <= 1", "* -> tcp:*: switches == 0"];
                    let expectations = of_flows(&rules.map(|it| it.parse().unwrap()), &recording);
                    let report = Report { expectations, ..Report::new(&recording, per) };
                    is_harmless(&report, &style)?;
                    reports.push(Report::new(&recording, Per::Kind));
                }
            }
        }
        for one in &reports {
            for other in &reports {
                are_harmless_beside(one, other, &style)?;
            }
        }
    }

    #[test]
    fn any_bytes_are_refused(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(Recording::parse(&bytes).is_err());
    }
}
