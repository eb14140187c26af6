//! The grammar of rules: valid and invalid ones.

use proptest::prelude::*;

use super::Rule;

#[track_caller]
fn read(text: &str) -> String {
    text.parse::<Rule>().unwrap_or_else(|mistake| panic!("{mistake}")).to_string()
}

#[test]
fn everything_but_the_condition_may_be_left_out() {
    let whole = "nginx: file:/srv/www/* -> tcp:*:8090: cpu <= 0.01";
    assert_eq!(read(whole), whole);
    for part in ["cpu <= 0.01", "nginx: switches < 64", "file -> tcp: by_reference >= 0.99"] {
        assert_eq!(read(part), part);
    }
}

#[test]
fn blanks_and_arrows_are_as_the_user_writes_them() {
    let rule = "nginx: file -> tcp: cpu <= 0.01";
    assert_eq!(read("nginx: file → tcp: cpu <= 0.01"), rule);
    assert_eq!(read("  nginx:  file->tcp:cpu<=0.01 "), rule);
    assert_eq!(read("nginx:\tfile -> tcp :cpu <= 0.010"), rule);
    assert_eq!(read("* -> *:*: dma == 0"), "* -> *:*: dma == 0");
}

#[test]
fn colons_and_blanks_may_be_in_names() {
    let address = "a b: file:/a: b -> tcp:[::1]:8090: copies > 1";
    assert_eq!(read(address), address);
}

#[test]
fn a_mistake_is_pointed_at() {
    let shown = |text: &str| text.parse::<Rule>().unwrap_err().to_string();
    insta::assert_snapshot!(
        [
            "nginx: fil -> tcp: cpu <= 0.01",
            "nginx:file -> tcp: cpu <= 0.01",
            "nginx: file => tcp: cpu <= 0.01",
            "nginx: file -> tcp cpu <= 0.01",
            "nginx: file -> tcp:",
            "nginx: file: -> tcp: cpu <= 0",
            "file -> tcp → tcp: cpu <= 0.01",
            "nginx: file -> tcp:80 → 1: cpu <= 0.01",
            ": file -> tcp: cpu <= 0.01",
            "file -> : cpu <= 0.01",
            "nginx: file -> tcp: copy <= 0.01",
            "nginx: file -> tcp: cpu ≤ 0.01",
            "nginx: file -> tcp: cpu = 0.01",
            "nginx: file -> tcp: cpu <= -1",
            "cpu <= 1e3",
            "nginx: file -> tcp: cpu <=",
            "datei\t→ tcp: cpu <= 0.01",
            "",
        ]
        .map(shown)
        .join("\n\n")
    );
}

/// Words that rules are made of, and others.
fn words() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        3 => prop::sample::select(vec![
            "->", "→", ":", ": ", " ", "<=", "==", "!", "cpu", "file", "tcp", "*", "0.01", ".", "é",
        ])
        .prop_map(str::to_owned),
        1 => ".{0,3}",
    ];
    prop::collection::vec(word, 0..12).prop_map(|words| words.concat())
}

fn rules() -> impl Strategy<Value = String> {
    let name = || prop::option::of("[a-z/*?:.-]{0,6}[a-z/*?]");
    let kind = || prop::sample::select(vec!["file", "tcp", "memory", "other", "*"]);
    let end = || {
        (kind(), name())
            .prop_map(|(kind, name)| name.map_or(kind.to_owned(), |name| format!("{kind}:{name}")))
    };
    let way = prop::option::of((end(), prop::sample::select(vec!["->", " → "]), end()));
    let operator = prop::sample::select(vec!["<=", "<", ">=", ">", "=="]);
    let measure = prop::sample::select(vec!["cpu", "dma", "copies", "by_reference", "switches"]);
    (prop::option::of("[a-z*?]{1,8}"), way, measure, operator, "[0-9]{1,4}(\\.[0-9]{1,4})?")
        .prop_map(|(program, way, measure, operator, number)| {
            let program = program.map(|program| format!("{program}: ")).unwrap_or_default();
            let way = way.map(|(from, arrow, to)| format!("{from} {arrow} {to}: "));
            format!("{program}{}{measure}{operator}{number}", way.unwrap_or_default())
        })
}

/// The displayed form of a rule is the same rule.
fn check_shown(text: &str) -> Result<(), TestCaseError> {
    if let Ok(rule) = text.parse::<Rule>() {
        let shown = rule.to_string();
        prop_assert_eq!(
            &shown.parse::<Rule>().map_err(|it| TestCaseError::fail(it.to_string()))?,
            &rule
        );
        prop_assert_eq!(shown.parse::<Rule>().unwrap().to_string(), shown);
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_text_is_a_rule_or_a_mistake_in_it(text in words()) {
        if let Err(mistake) = text.parse::<Rule>() {
            prop_assert_eq!(mistake.to_string().lines().count(), 3);
        }
        check_shown(&text)?;
    }

    #[test]
    fn a_rule_is_shown_as_it_is_read(text in rules()) {
        prop_assert!(text.parse::<Rule>().is_ok(), "{}", text);
        check_shown(&text)?;
    }
}
