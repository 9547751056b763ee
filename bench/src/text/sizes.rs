//! Sizes in bytes as people write them.

const UNITS: [(&str, u64); 4] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("B", 1),
];

/// Reads a size: a number of bytes, or one with its unit, as `64MiB`.
///
/// ```
/// use frazil_bench::text::sizes::parse_size;
///
/// assert_eq!(parse_size("64MiB"), Ok(64 << 20));
/// assert_eq!(parse_size("100"), Ok(100));
/// assert!(parse_size("64MB").is_err());
/// ```
///
/// # Errors
///
/// What was expected.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let with_unit = UNITS
        .iter()
        .find_map(|(unit, bytes)| text.strip_suffix(unit).map(|number| (number, *bytes)));
    let (number, bytes) = with_unit.unwrap_or((text, 1));
    let number: Option<u64> = number.trim().parse().ok();
    number
        .and_then(|number| number.checked_mul(bytes))
        .ok_or_else(|| "expected a size as 64MiB or 1GiB".to_owned())
}
