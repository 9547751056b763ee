//! The flow's own way of finding identifiers.
//!
//! It finds what [`crate::identifiers`] defines, written apart from it so that neither can hide a
//! mistake of the other; a property test holds both against the crate `regex`.

/// What a byte can be in an identifier.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Other,
    Start,
    Digit,
}

const CLASSES: [Class; 256] = {
    let mut classes = [Class::Other; 256];
    let mut letter = 0;
    while letter < 26 {
        classes[b'A' as usize + letter] = Class::Start;
        classes[b'a' as usize + letter] = Class::Start;
        letter += 1;
    }
    classes[b'_' as usize] = Class::Start;
    let mut digit = 0;
    while digit < 10 {
        classes[b'0' as usize + digit] = Class::Digit;
        digit += 1;
    }
    classes
};

/// The identifiers of a text, in order.
///
/// # Cost
///
/// One table look-up for each byte, no allocation.
#[derive(Clone, Debug)]
pub struct Tokenizer<'a> {
    rest: &'a [u8],
}

impl<'a> Tokenizer<'a> {
    /// Starts at the front of `text`, which must not begin or end inside an identifier.
    #[must_use]
    pub const fn new(text: &'a [u8]) -> Self {
        Self { rest: text }
    }
}

impl<'a> Iterator for Tokenizer<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let start = self
            .rest
            .iter()
            .position(|byte| class(*byte) == Class::Start)?;
        let from_start = &self.rest[start..];
        let length = from_start
            .iter()
            .position(|byte| class(*byte) == Class::Other)
            .unwrap_or(from_start.len());
        let (identifier, rest) = from_start.split_at(length);
        self.rest = rest;
        Some(str::from_utf8(identifier).expect("all bytes of both classes are ASCII"))
    }
}

const fn class(byte: u8) -> Class {
    CLASSES[byte as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identifiers::identifiers;
    use proptest::prelude::*;
    use regex::bytes::Regex;

    fn by_regex(text: &[u8]) -> Vec<&str> {
        let pattern = Regex::new("(?-u)[A-Za-z_][A-Za-z0-9_]*").unwrap();
        pattern
            .find_iter(text)
            .map(|found| str::from_utf8(found.as_bytes()).unwrap())
            .collect()
    }

    /// Text in which all classes are frequent, with any byte among them.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        let near = prop::sample::select(&b"azAZ_09@[`{/: \n"[..]);
        prop::collection::vec(prop_oneof![4 => near, 1 => any::<u8>()], 0..200)
    }

    proptest! {
        #[test]
        fn tokenizer_reference_and_regex_agree(text in text()) {
            let expected = by_regex(&text);
            prop_assert_eq!(&Tokenizer::new(&text).collect::<Vec<_>>(), &expected);
            prop_assert_eq!(&identifiers(&text).collect::<Vec<_>>(), &expected);
        }
    }

    #[test]
    fn all_three_agree_on_this_file() {
        let text = include_bytes!("tokenizer.rs");
        let expected = by_regex(text);
        assert_eq!(Tokenizer::new(text).collect::<Vec<_>>(), expected);
        assert_eq!(identifiers(text).collect::<Vec<_>>(), expected);
    }
}
