//! Keys as canonical, order-preserving bytes: hash, equality and order all use the same bytes.
//!
//! Integers are big-endian with the sign bit flipped; text and byte strings are themselves. In a
//! tuple, parts of variable length end with `00 00` and escape `00` as `00 ff`, except the last
//! one, which needs no end.

use arrayvec::ArrayVec;

/// Longest canonical key in bytes.
pub const KEY_BYTES_MAX: usize = 1024;

/// Bytes of a key under construction; one spare byte tells a key that is too long.
pub type KeyBuffer = ArrayVec<u8, { KEY_BYTES_MAX + 1 }>;

/// Bytes that are no key of the asked type.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not a canonical key: expected {expected}, found {found_bytes} bytes")]
pub struct KeyError {
    /// What the type's encoding looks like.
    pub expected: &'static str,
    /// How many bytes were there.
    pub found_bytes: usize,
}

/// A type that can be a key: a total order preserved by its canonical bytes.
///
/// Two keys are the same key exactly if their bytes are equal. The encoding is part of the
/// checkpoint format.
pub trait Key: 'static {
    /// Length of every key's bytes where it is the same for all, else `None`.
    const FIXED_BYTES: Option<usize>;

    /// Calls `with` with the canonical bytes. Keys longer than [`KEY_BYTES_MAX`] may arrive cut
    /// after one byte more, which every table refuses.
    fn with_bytes<T>(&self, with: impl FnOnce(&[u8]) -> T) -> T;

    /// Calls `with` with the key that `bytes` stand for.
    ///
    /// # Errors
    /// [`KeyError`] if the bytes are no key of this type.
    fn from_bytes<T>(bytes: &[u8], with: impl FnOnce(&Self) -> T) -> Result<T, KeyError>;
}

impl Key for str {
    const FIXED_BYTES: Option<usize> = None;

    #[inline]
    fn with_bytes<T>(&self, with: impl FnOnce(&[u8]) -> T) -> T {
        with(self.as_bytes())
    }

    fn from_bytes<T>(bytes: &[u8], with: impl FnOnce(&Self) -> T) -> Result<T, KeyError> {
        let text = std::str::from_utf8(bytes).map_err(|_| KeyError {
            expected: "UTF-8 text",
            found_bytes: bytes.len(),
        })?;
        Ok(with(text))
    }
}

impl Key for [u8] {
    const FIXED_BYTES: Option<usize> = None;

    #[inline]
    fn with_bytes<T>(&self, with: impl FnOnce(&[u8]) -> T) -> T {
        with(self)
    }

    fn from_bytes<T>(bytes: &[u8], with: impl FnOnce(&Self) -> T) -> Result<T, KeyError> {
        Ok(with(bytes))
    }
}

impl Key for String {
    const FIXED_BYTES: Option<usize> = None;

    #[inline]
    fn with_bytes<T>(&self, with: impl FnOnce(&[u8]) -> T) -> T {
        self.as_str().with_bytes(with)
    }

    fn from_bytes<T>(bytes: &[u8], with: impl FnOnce(&Self) -> T) -> Result<T, KeyError> {
        str::from_bytes(bytes, |text| with(&text.to_owned()))
    }
}

macro_rules! integer_keys {
    ($($type:ty: |$key:ident| $to_ordered:expr, |$ordered:ident: $unsigned:ty| $from_ordered:expr;)*) => {$(
        impl Key for $type {
            const FIXED_BYTES: Option<usize> = Some(size_of::<$type>());

            #[inline]
            fn with_bytes<T>(&self, with: impl FnOnce(&[u8]) -> T) -> T {
                let $key = *self;
                let ordered: $unsigned = $to_ordered;
                with(&ordered.to_be_bytes())
            }

            fn from_bytes<T>(bytes: &[u8], with: impl FnOnce(&Self) -> T) -> Result<T, KeyError> {
                let array = bytes.try_into().map_err(|_| KeyError {
                    expected: concat!("the bytes of one ", stringify!($type)),
                    found_bytes: bytes.len(),
                })?;
                let $ordered = <$unsigned>::from_be_bytes(array);
                Ok(with(&$from_ordered))
            }
        }
    )*};
}

integer_keys! {
    u8: |key| key, |ordered: u8| ordered;
    u16: |key| key, |ordered: u16| ordered;
    u32: |key| key, |ordered: u32| ordered;
    u64: |key| key, |ordered: u64| ordered;
    u128: |key| key, |ordered: u128| ordered;
    i8: |key| key.cast_unsigned() ^ (1 << 7), |ordered: u8| (ordered ^ (1 << 7)).cast_signed();
    i16: |key| key.cast_unsigned() ^ (1 << 15), |ordered: u16| (ordered ^ (1 << 15)).cast_signed();
    i32: |key| key.cast_unsigned() ^ (1 << 31), |ordered: u32| (ordered ^ (1 << 31)).cast_signed();
    i64: |key| key.cast_unsigned() ^ (1 << 63), |ordered: u64| (ordered ^ (1 << 63)).cast_signed();
    i128: |key| key.cast_unsigned() ^ (1 << 127), |ordered: u128| (ordered ^ (1 << 127)).cast_signed();
}

/// Follows an escaped zero byte inside a part.
const ESCAPE: u8 = 0xff;

macro_rules! tuple_key {
    ($($part:ident $index:tt),+; last $last:ident $last_index:tt) => {
        impl<$($part: Key + Clone,)+ $last: Key + Clone> Key for ($($part,)+ $last) {
            const FIXED_BYTES: Option<usize> =
                sum_fixed(&[$($part::FIXED_BYTES,)+ $last::FIXED_BYTES]);

            #[inline]
            fn with_bytes<T>(&self, with: impl FnOnce(&[u8]) -> T) -> T {
                let mut buffer = KeyBuffer::new();
                $(self.$index.with_bytes(|bytes| push_part::<$part>(bytes, &mut buffer));)+
                self.$last_index.with_bytes(|bytes| push_cut(bytes, &mut buffer));
                with(&buffer)
            }

            fn from_bytes<T>(bytes: &[u8], with: impl FnOnce(&Self) -> T) -> Result<T, KeyError> {
                let mut rest = bytes;
                let key = ($(take_part::<$part>(&mut rest)?,)+ $last::from_bytes(rest, $last::clone)?);
                Ok(with(&key))
            }
        }
    };
}

tuple_key!(A 0; last B 1);
tuple_key!(A 0, B 1; last C 2);
tuple_key!(A 0, B 1, C 2; last D 3);

const fn sum_fixed(parts: &[Option<usize>]) -> Option<usize> {
    let mut sum = 0;
    let mut index = 0;
    while index < parts.len() {
        match parts[index] {
            Some(bytes) => sum += bytes,
            None => return None,
        }
        index += 1;
    }
    Some(sum)
}

/// Appends what fits: a key that reaches the buffer's end is over the limit and refused by every
/// table.
pub(crate) fn push_cut(bytes: &[u8], buffer: &mut KeyBuffer) {
    let room = buffer.remaining_capacity().min(bytes.len());
    let fits = buffer.try_extend_from_slice(&bytes[..room]);
    debug_assert!(fits.is_ok(), "cut to the room");
}

/// Appends the bytes of one part of a tuple that is not its last.
pub(crate) fn push_part<K: Key + ?Sized>(bytes: &[u8], buffer: &mut KeyBuffer) {
    if K::FIXED_BYTES.is_some() {
        return push_cut(bytes, buffer);
    }
    let mut pieces = bytes.split(|byte| *byte == 0);
    push_cut(pieces.next().unwrap_or(&[]), buffer);
    for piece in pieces {
        push_cut(&[0, ESCAPE], buffer);
        push_cut(piece, buffer);
    }
    push_cut(&[0, 0], buffer);
}

/// Cuts the first part off the bytes of a tuple: its own bytes, and what follows. `fixed_bytes` is
/// the part's length where that is the same for all.
pub(crate) fn first_part(bytes: &[u8], fixed_bytes: Option<usize>) -> Option<(KeyBuffer, &[u8])> {
    let mut part = KeyBuffer::new();
    if let Some(fixed_bytes) = fixed_bytes {
        let (own, rest) = bytes.split_at_checked(fixed_bytes)?;
        push_cut(own, &mut part);
        return Some((part, rest));
    }
    let mut rest = bytes;
    loop {
        let end = rest.iter().position(|byte| *byte == 0)?;
        push_cut(&rest[..end], &mut part);
        let mark = *rest.get(end + 1)?;
        rest = &rest[end + 2..];
        match mark {
            0 => return Some((part, rest)),
            ESCAPE => push_cut(&[0], &mut part),
            _ => return None,
        }
    }
}

fn take_part<K: Key + Clone>(rest: &mut &[u8]) -> Result<K, KeyError> {
    let short = KeyError {
        expected: "one more part of a tuple",
        found_bytes: rest.len(),
    };
    let (part, after) = first_part(rest, K::FIXED_BYTES).ok_or(short)?;
    *rest = after;
    K::from_bytes(&part, K::clone)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes_of<K: Key + ?Sized>(key: &K) -> Vec<u8> {
        key.with_bytes(<[u8]>::to_vec)
    }

    fn round_trip<K: Key + Clone + PartialEq + std::fmt::Debug>(key: &K) {
        let back = K::from_bytes(&bytes_of(key), K::clone).expect("own bytes decode");
        assert_eq!(&back, key);
    }

    proptest! {
        #[test]
        fn integer_bytes_keep_the_order(a: i64, b: i64, c: u32, d: u32) {
            prop_assert_eq!(bytes_of(&a).cmp(&bytes_of(&b)), a.cmp(&b));
            prop_assert_eq!(bytes_of(&c).cmp(&bytes_of(&d)), c.cmp(&d));
            round_trip(&a);
            round_trip(&c);
        }

        #[test]
        fn tuple_bytes_keep_the_order(
            a in ("[\u{0}\u{1}ab]{0,4}", any::<i8>(), "[\u{0}b]{0,3}"),
            b in ("[\u{0}\u{1}ab]{0,4}", any::<i8>(), "[\u{0}b]{0,3}"),
        ) {
            prop_assert_eq!(bytes_of(&a).cmp(&bytes_of(&b)), a.cmp(&b));
            round_trip(&a);
        }
    }

    #[test]
    fn foreign_bytes_are_refused() {
        assert!(u64::from_bytes(&[1, 2, 3], |_| ()).is_err());
        assert!(<(String, u8)>::from_bytes(b"no end", |_| ()).is_err());
        assert!(str::from_bytes(&[0xff], |_| ()).is_err());
    }
}
