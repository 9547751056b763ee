//! What is counted: identifiers `[A-Za-z_][A-Za-z0-9_]*`, leftmost and as long as possible.
//!
//! Bytes before a letter or underscore are skipped, digits among them: `9abc` holds `abc`, and
//! `0x1F` holds `x1F`. All matches are ASCII, so the text need not be UTF-8. An identifier never
//! spans a line break, so a text may be cut at line breaks.

/// The identifiers of `text`, in order.
///
/// ```
/// use frazil_bench::identifiers::identifiers;
///
/// let found: Vec<_> = identifiers(b"let x_1 = 9abc;").collect();
/// assert_eq!(found, ["let", "x_1", "abc"]);
/// ```
pub fn identifiers(text: &[u8]) -> impl Iterator<Item = &str> {
    text.split(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_')
        .map(without_leading_digits)
        .filter(|word| !word.is_empty())
        .map(|word| str::from_utf8(word).expect("letters, digits and underscores are ASCII"))
}

fn without_leading_digits(word: &[u8]) -> &[u8] {
    let digit_count = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
    &word[digit_count..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_do_not_begin_an_identifier() {
        let found: Vec<_> = identifiers(b"9abc 12 0x1F_ _ a9 \xffb\xc3\xa9c").collect();
        assert_eq!(found, ["abc", "x1F_", "_", "a9", "b", "c"]);
    }

    #[test]
    fn text_without_identifiers_gives_none() {
        assert_eq!(identifiers(b"").count(), 0);
        assert_eq!(identifiers(b"1 + 2 = 3").count(), 0);
    }
}
