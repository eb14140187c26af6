//! Sizes as people write them: `4096`, `64K`, `64KiB`, `1.5MiB`, `10MB`.

/// Units by name, in lower case. A letter alone is a power of 1024, as in dd, fio and nginx.
const UNITS: [(&str, u64); 14] = [
    ("", 1),
    ("b", 1),
    ("k", 1 << 10),
    ("m", 1 << 20),
    ("g", 1 << 30),
    ("t", 1 << 40),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("tib", 1 << 40),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
    ("tb", 1_000_000_000_000),
];

/// Why a text is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a size: write a number of bytes such as 4096, or with a unit such as 64K, 64KiB, 1.5MiB, 10MB"
)]
pub struct NotASize;

/// Reads a size: a whole number of bytes, possibly as a fraction of a unit. A `value_parser` for clap.
pub fn parse(text: &str) -> Result<u64, NotASize> {
    let text = text.trim();
    let end = text.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim_start().to_ascii_lowercase();
    let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(NotASize)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |digits: &str| digits.parse::<u64>().map(u128::from).map_err(|_| NotASize);
    let scale = 10_u128.pow(u32::try_from(part.len()).ok().filter(|it| *it < 20).ok_or(NotASize)?);
    let parts = digits(part)? * u128::from(*unit);
    if !parts.is_multiple_of(scale) {
        return Err(NotASize);
    }
    let bytes = digits(whole)? * u128::from(*unit) + parts / scale;
    bytes.try_into().map_err(|_| NotASize)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_are_understood() {
        assert_eq!(parse("4096"), Ok(4096));
        assert_eq!(parse("64KiB"), Ok(65536));
        assert_eq!(parse("64 kib"), Ok(65536));
        assert_eq!(parse("1MiB"), Ok(1 << 20));
        assert_eq!(parse("10MB"), Ok(10_000_000));
        assert_eq!(parse("0"), Ok(0));
        assert_eq!(parse("64K"), Ok(65536));
        assert_eq!(parse("2g"), Ok(2 << 30));
        assert_eq!(parse("64kB"), Ok(64_000));
        assert_eq!(parse("1.5MiB"), Ok(3 << 19));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", "KiB", "-1", "1.5", "1.K", ".5K", "1.2.3K", "0.0001K", "64KiB x", "99999999999TiB"]
        {
            assert_eq!(parse(text), Err(NotASize), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_number_of_bytes_is_read_back(bytes: u64) {
            prop_assert_eq!(parse(&bytes.to_string()), Ok(bytes));
        }

        #[test]
        fn whole_units_survive_both_ways(number in 1_u64..1024, unit in 0..5) {
            let bytes = number << (10 * unit);
            prop_assert_eq!(parse(&tracer_ledger::size(bytes)), Ok(bytes));
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = parse(&text);
        }
    }
}
