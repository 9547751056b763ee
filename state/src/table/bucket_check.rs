//! The shape of a bucket page: whether it can be read at all.
//!
//! Every other reader of buckets relies on what is checked here, so `verify` looks at it before it
//! looks for a record.

use super::bucket::Bucket;
use super::geometry::{BUCKET_HEADER_BYTES, GROUP_SLOTS, Geometry, RECORD_HEADER_BYTES, ValueForm};
use super::tags;
use crate::arena::Arena;
use crate::error::StateError;
use crate::key::KEY_BYTES_MAX;
use crate::page::{PAGE_BYTES, PageId};

/// What is wrong, what would be right, what stands there.
type Damage = (&'static str, String, String);

/// Checks the page of a bucket whose path has at most `path_bits_max` bits: its records lie in the
/// page beside each other, and its counts are true.
///
/// # Errors
/// [`StateError::Damaged`] naming the page.
pub(crate) fn check_shape(
    arena: &Arena,
    id: PageId,
    geometry: &Geometry,
    path_bits_max: u32,
) -> Result<(), StateError> {
    let bucket = Bucket {
        page: arena.page(id),
        geometry,
    };
    let damage = header_damage(bucket, path_bits_max)
        .or_else(|| tag_damage(bucket))
        .or_else(|| records_damage(bucket));
    match damage {
        None => Ok(()),
        Some((what, expected, found)) => Err(StateError::Damaged {
            page: id.0,
            what,
            expected,
            found,
        }),
    }
}

fn header_damage(bucket: Bucket<'_>, path_bits_max: u32) -> Option<Damage> {
    if bucket.depth() > path_bits_max {
        let expected = format!("at most {path_bits_max}");
        return Some(("bucket depth", expected, bucket.depth().to_string()));
    }
    if bucket.geometry.fixed.is_some() {
        return None;
    }
    let arrays_end = bucket.arrays_end(bucket.groups());
    if bucket.groups() == 0 || arrays_end > PAGE_BYTES {
        let expected = "1 or more, that fit into the page".to_owned();
        return Some(("tag groups", expected, bucket.groups().to_string()));
    }
    if !(arrays_end..=PAGE_BYTES).contains(&bucket.heap_start()) {
        let expected = format!("{arrays_end} to {PAGE_BYTES}");
        return Some((
            "start of the heap",
            expected,
            bucket.heap_start().to_string(),
        ));
    }
    let heap_bytes = PAGE_BYTES - bucket.heap_start();
    (bucket.garbage_bytes() > heap_bytes).then(|| {
        let expected = format!("at most {heap_bytes}");
        (
            "garbage in the heap",
            expected,
            bucket.garbage_bytes().to_string(),
        )
    })
}

/// Tags stand only where there are slots, and are counted.
fn tag_damage(bucket: Bucket<'_>) -> Option<Damage> {
    let slots = bucket.capacity();
    let all = bucket
        .page
        .bytes_at(BUCKET_HEADER_BYTES, bucket.groups() * GROUP_SLOTS);
    let (inside, beyond) = all.split_at(slots);
    if beyond.iter().any(|tag| *tag != tags::ABSENT) {
        let expected = format!("none behind slot {slots}");
        return Some(("tag", expected, format!("{beyond:?}")));
    }
    let is_mark = |tag: &&u8| !tags::is_record(**tag);
    let known = [tags::EMPTY, tags::DELETED];
    if let Some(tag) = inside
        .iter()
        .filter(is_mark)
        .find(|tag| !known.contains(tag))
    {
        return Some((
            "tag",
            "a record's or one of the marks".to_owned(),
            tag.to_string(),
        ));
    }
    let deleted = inside.iter().filter(|tag| **tag == tags::DELETED).count();
    (deleted != bucket.deleted_count()).then(|| {
        let expected = bucket.deleted_count().to_string();
        ("deleted tags", expected, deleted.to_string())
    })
}

/// Slotted records lie in the heap, do not overlap, and fill it together with the garbage.
fn records_damage(bucket: Bucket<'_>) -> Option<Damage> {
    if bucket.geometry.fixed.is_some() {
        return None;
    }
    let mut records: Vec<(usize, usize)> = Vec::new();
    for slot in bucket.slots() {
        let at = bucket.record_at(slot);
        match record_bytes(bucket, at) {
            Some(bytes) => records.push((at, at + bytes)),
            None => {
                let expected = "a whole record in the heap".to_owned();
                return Some(("record", expected, format!("slot {slot} at {at}")));
            }
        }
    }
    records.sort_unstable();
    let overlapping = records.windows(2).find(|pair| pair[0].1 > pair[1].0);
    if let Some(pair) = overlapping {
        return Some(("records", "apart".to_owned(), format!("{pair:?}")));
    }
    let live_bytes: usize = records.iter().map(|(at, end)| end - at).sum();
    let expected = PAGE_BYTES - bucket.heap_start();
    let found = live_bytes + bucket.garbage_bytes();
    (found != expected).then(|| {
        let what = "records and garbage in the heap";
        (what, expected.to_string(), found.to_string())
    })
}

/// Bytes of the record at `at`, if it is one of the table's.
fn record_bytes(bucket: Bucket<'_>, at: usize) -> Option<usize> {
    let geometry = bucket.geometry;
    let aligned = at.is_multiple_of(geometry.record_align());
    if !aligned || at < bucket.heap_start() || at + RECORD_HEADER_BYTES > PAGE_BYTES {
        return None;
    }
    let (key_bytes, form) = bucket.slotted_lengths(at);
    if key_bytes > KEY_BYTES_MAX || geometry.key_bytes.is_some_and(|of| of != key_bytes) {
        return None;
    }
    let value_fits = match (form, geometry.value_bytes) {
        (ValueForm::InPage(found), Some(of)) => found == of,
        _ => true,
    };
    let bytes = geometry.record_bytes(key_bytes, form.stored_bytes());
    (value_fits && at + bytes <= PAGE_BYTES).then_some(bytes)
}
