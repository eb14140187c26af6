//! The written form of a flow's ends, and of a part of it.

use crate::flows::Kind;

/// Its kind and its name.
pub(super) fn end_name(kind: Kind, name: &str) -> String {
    match (kind, name) {
        (kind, "") => kind.to_string(),
        (Kind::File | Kind::Other, name) => name.to_owned(),
        // `pipe:[4711]`
        (kind, name) if name.starts_with(&kind.to_string()) => name.to_owned(),
        // Of a connection the two ends.
        (kind, name) => format!("{kind} {}", name.replacen(" → ", " ⇄ ", 1)),
    }
}

/// A part in hundredths, which are all of them only where it is the whole.
pub(super) fn percent(part: u64, whole: u64) -> String {
    let whole = u128::from(whole.max(1));
    let tenths = (u128::from(part) * 1000 + whole / 2) / whole;
    // What is not all of it is not shown as such.
    let most = if u128::from(part) < whole { 999 } else { 1000 };
    match tenths.min(most) {
        0 if part > 0 => "<0.1 %".to_owned(),
        1000 => "100 %".to_owned(),
        tenths => format!("{}.{} %", tenths / 10, tenths % 10),
    }
}
