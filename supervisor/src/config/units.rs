//! Sizes and durations as people write them. Without units nobody can tell whether `30` is seconds or milliseconds.

use std::time::Duration;

/// Units of a size and the bytes in each.
const SIZES: [(&str, u64); 9] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// Units of a duration and the milliseconds in each.
const TIMES: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// What is allowed in a size, for people.
pub(super) const SIZE_FORM: &str =
    "a size is a whole number and a unit (B, KiB, MiB, GiB, KB, MB, GB), such as \"64KiB\"";
/// What is allowed in a duration, for people.
pub(super) const DURATION_FORM: &str =
    "a duration is whole numbers, each with a unit (ms, s, m, h, d), such as \"500ms\" or \"1h 30m\"";

/// Why a text is not a size or a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// There is no number where one should be.
    #[error("is not a number with a unit")]
    NoNumber,
    /// A number is the last thing.
    #[error("has a number without a unit")]
    NoUnit,
    /// The unit is none that we know.
    #[error("has the unknown unit {0:?}")]
    UnknownUnit(String),
    /// Too large to be counted.
    #[error("is too large")]
    TooLarge,
}

/// Reads a size, in bytes.
pub(super) fn parse_size(text: &str) -> Result<i64, UnitError> {
    let (value, rest) = number_and_unit(text.trim(), &SIZES)?;
    if !rest.is_empty() {
        return Err(UnitError::NoNumber);
    }
    i64::try_from(value).map_err(|_| UnitError::TooLarge)
}

/// Reads a duration: one or more numbers with units, which are added.
///
/// # Errors
/// When it is none, or longer than 2^64 milliseconds.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let mut total = 0u64;
    let mut rest = text.trim();
    loop {
        let (value, behind) = number_and_unit(rest, &TIMES)?;
        total = total.checked_add(value).ok_or(UnitError::TooLarge)?;
        rest = behind;
        if rest.is_empty() {
            return Ok(Duration::from_millis(total));
        }
    }
}

/// Reads `12 unit` from the front; gives the product and what stands behind, both without surrounding blanks.
fn number_and_unit<'a>(text: &'a str, units: &[(&str, u64)]) -> Result<(u64, &'a str), UnitError> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    if digits == 0 {
        return Err(UnitError::NoNumber);
    }
    let (number, behind) = (&text[..digits], text[digits..].trim_start());
    let letters = behind.find(|c: char| !c.is_alphabetic()).unwrap_or(behind.len());
    let (unit, rest) = behind.split_at(letters);
    if unit.is_empty() {
        return Err(if rest.is_empty() { UnitError::NoUnit } else { UnitError::NoNumber });
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(UnitError::UnknownUnit(unit.to_owned()));
    };
    let number: u64 = number.parse().map_err(|_| UnitError::TooLarge)?;
    Ok((number.checked_mul(*factor).ok_or(UnitError::TooLarge)?, rest.trim_start()))
}

/// Writes a size exactly, so that it can be read again: in the largest binary unit that leaves no rest.
pub fn show_size(bytes: u64) -> String {
    let (unit, factor) = SIZES[..5]
        .iter()
        .rev()
        .find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor))
        .unwrap_or(&SIZES[0]);
    format!("{}{unit}", bytes / factor)
}

/// Writes a duration in whole milliseconds, so that it can be read again, such as `1m 30s`.
pub fn show_duration(duration: Duration) -> String {
    let mut rest = duration.as_millis();
    let mut parts = Vec::new();
    for (unit, factor) in TIMES.iter().rev() {
        let count = rest / u128::from(*factor);
        rest %= u128::from(*factor);
        if count > 0 {
            parts.push(format!("{count}{unit}"));
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_binary_and_decimal_units() {
        assert_eq!(parse_size("512B"), Ok(512));
        assert_eq!(parse_size("64KiB"), Ok(65_536));
        assert_eq!(parse_size(" 1 MiB "), Ok(1 << 20));
        assert_eq!(parse_size("1GiB"), Ok(1 << 30));
        assert_eq!(parse_size("64KB"), Ok(64_000));
        assert_eq!(parse_size("2MB"), Ok(2_000_000));
    }

    #[test]
    fn what_is_no_size_is_told_apart() {
        assert_eq!(parse_size(""), Err(UnitError::NoNumber));
        assert_eq!(parse_size("KiB"), Err(UnitError::NoNumber));
        assert_eq!(parse_size("-1KiB"), Err(UnitError::NoNumber));
        assert_eq!(parse_size("1.5KiB"), Err(UnitError::NoNumber));
        assert_eq!(parse_size("1KiB 2B"), Err(UnitError::NoNumber));
        assert_eq!(parse_size("64"), Err(UnitError::NoUnit));
        assert_eq!(parse_size("64kb"), Err(UnitError::UnknownUnit("kb".to_owned())));
        assert_eq!(parse_size("99999999999999999999B"), Err(UnitError::TooLarge));
        assert_eq!(parse_size("9999999999GiB"), Err(UnitError::TooLarge));
    }

    #[test]
    fn durations_are_sums_of_numbers_with_units() {
        assert_eq!(parse_duration("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse_duration("1h 30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(parse_duration("1h30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(parse_duration("0s"), Ok(Duration::ZERO));
        assert_eq!(parse_duration("30"), Err(UnitError::NoUnit));
        assert_eq!(parse_duration("1h 30"), Err(UnitError::NoUnit));
        assert_eq!(parse_duration("soon"), Err(UnitError::NoNumber));
        assert_eq!(parse_duration("1min"), Err(UnitError::UnknownUnit("min".to_owned())));
        assert_eq!(parse_duration("999999999999999999d"), Err(UnitError::TooLarge));
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        for bytes in [0, 1, 512, 1_000, 1_024, 1_536, 65_536, 1 << 30, (1 << 30) + 1] {
            assert_eq!(parse_size(&show_size(bytes)), Ok(i64::try_from(bytes).unwrap()));
        }
        for millis in [0, 1, 999, 1_000, 60_000, 90_000, 5_400_000, 86_400_001] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }
        assert_eq!(show_size(65_536), "64KiB");
        assert_eq!(show_duration(Duration::from_secs(90)), "1m 30s");
    }
}
