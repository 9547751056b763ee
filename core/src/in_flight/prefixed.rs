//! Bytes behind their length, in an encoding of records in flight.

/// Appends what `write` appends, behind its length.
///
/// # Panics
/// Beyond 4 GiB, which no record in memory has.
pub(crate) fn put_prefixed(bytes: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let length_at = bytes.len();
    bytes.extend_from_slice(&[0; 4]);
    let begin = bytes.len();
    write(bytes);
    let length = u32::try_from(bytes.len() - begin);
    let length = length.expect("a record in memory is below 4 GiB");
    bytes[length_at..begin].copy_from_slice(&length.to_le_bytes());
}

/// What was appended first, and what follows it; `None` if the bytes end before it does.
pub(crate) fn split_prefixed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}
