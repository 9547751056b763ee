//! What must hold between the values of a manifest.
//!
//! An archive can be valid and still name a shard that does not exist. `image epoch, segment epochs
//! <= checkpoint`; segment epochs rise strictly; every file name stays inside the checkpoint
//! folder.

use super::FormatError;
use super::archive_layout;
use super::frame::{MAX_FRAME_BODY_BYTES, PAGE_ID_END};
use super::header::HEADER_BYTES;
use super::image::ImageAddress;
use super::manifest::{ImageEntry, Manifest, SegmentEntry, ShardEntry};
use crate::hash::KEY_GROUPS_MAX;

/// Shards are numbered by a `u16` in frames and images.
const SHARDS_MAX: usize = 1 << 16;
const FILE_NAME_BYTES_MAX: usize = 255;

/// Checks the values; `file` names the manifest in messages.
pub(super) fn check_ranges(file: &str, manifest: &Manifest) -> Result<(), FormatError> {
    let ranges = Ranges { file, manifest };
    ranges.check_job()?;
    for (index, shard) in manifest.shards.iter().enumerate() {
        ranges.check_shard(index, shard)?;
    }
    ranges.check_segments()?;
    ranges.check_watermarks()?;
    ranges.check_operators()?;
    ranges.check_in_flight()
}

struct Ranges<'a> {
    file: &'a str,
    manifest: &'a Manifest,
}

impl Ranges<'_> {
    fn check_job(&self) -> Result<(), FormatError> {
        let groups = self.manifest.key_group_count;
        self.require(
            groups.is_power_of_two() && groups <= KEY_GROUPS_MAX,
            "key group count",
            || {
                (
                    format!("a power of two from 1 to {KEY_GROUPS_MAX}"),
                    groups.to_string(),
                )
            },
        )?;
        let shard_count = self.manifest.shards.len();
        self.require(
            (1..=SHARDS_MAX).contains(&shard_count),
            "shard count",
            || (format!("1 to {SHARDS_MAX}"), shard_count.to_string()),
        )?;
        let expected = archive_layout();
        if self.manifest.value_layout == expected {
            return Ok(());
        }
        Err(FormatError::Layout {
            file: self.file.to_owned(),
            what: "archive layout of the values",
            expected,
            found: self.manifest.value_layout,
        })
    }

    fn check_shard(&self, index: usize, shard: &ShardEntry) -> Result<(), FormatError> {
        self.check_page_count("page count of a shard", shard.page_count)?;
        let Some(image) = &shard.image else {
            return Ok(());
        };
        self.check_page_count("page count of an image", image.page_count)?;
        self.check_image(index, image)
    }

    fn check_page_count(&self, what: &'static str, page_count: u32) -> Result<(), FormatError> {
        self.require(page_count <= PAGE_ID_END, what, || {
            (format!("at most {PAGE_ID_END}"), page_count.to_string())
        })
    }

    fn check_image(&self, index: usize, image: &ImageEntry) -> Result<(), FormatError> {
        self.check_file_name(&image.file)?;
        self.check_epoch("epoch of an image", image.epoch)?;
        let address = ImageAddress {
            file_id: image.file_id,
            epoch: image.epoch,
            shard: u16::try_from(index).expect("the shard count was checked"),
            page_count: image.page_count,
        };
        let expected = address.length_bytes();
        self.require(image.length_bytes == expected, "length of an image", || {
            let expected = format!("{expected} bytes for {} pages", image.page_count);
            (expected, format!("{} bytes", image.length_bytes))
        })
    }

    fn check_segments(&self) -> Result<(), FormatError> {
        let mut newest = None;
        for segment in &self.manifest.segments {
            self.check_segment(segment)?;
            self.require(newest < Some(segment.epoch), "epoch of a segment", || {
                let expected = format!("above {}, the epoch before", newest.unwrap_or(0));
                (expected, segment.epoch.to_string())
            })?;
            newest = Some(segment.epoch);
        }
        Ok(())
    }

    fn check_segment(&self, segment: &SegmentEntry) -> Result<(), FormatError> {
        self.check_file_name(&segment.file)?;
        self.check_epoch("epoch of a segment", segment.epoch)?;
        let least = u64::from(segment.frame_count) * HEADER_BYTES as u64;
        self.require(segment.length_bytes >= least, "length of a segment", || {
            let expected = format!("at least {least} bytes for {} frames", segment.frame_count);
            (expected, format!("{} bytes", segment.length_bytes))
        })
    }

    fn check_watermarks(&self) -> Result<(), FormatError> {
        let shard_count = self.manifest.shards.len();
        for watermark in &self.manifest.watermarks {
            let shard = watermark.shard;
            self.require(
                (shard as usize) < shard_count,
                "shard of a watermark",
                || (format!("below {shard_count}"), shard.to_string()),
            )?;
        }
        Ok(())
    }

    fn check_operators(&self) -> Result<(), FormatError> {
        let manifest = self.manifest;
        for (number, operator) in manifest.operators.iter().enumerate() {
            for input in &operator.inputs {
                self.require((*input as usize) < number, "input of an operator", || {
                    (format!("below {number}, its own"), input.to_string())
                })?;
            }
        }
        let operator_count = manifest.operators.len();
        let sources = manifest.sources.iter().map(|source| source.operator);
        for operator in sources.chain(manifest.sinks.iter().map(|sink| sink.operator)) {
            let is_there = operator_count == 0 || (operator as usize) < operator_count;
            self.require(is_there, "operator of a source or sink", || {
                (format!("below {operator_count}"), operator.to_string())
            })?;
        }
        Ok(())
    }

    fn check_in_flight(&self) -> Result<(), FormatError> {
        let checkpoint = self.manifest.checkpoint;
        let last = self.manifest.segments.last();
        let last = last.filter(|segment| segment.epoch == checkpoint);
        let (length, frame_count) = last.map_or((0, 0), |it| (it.length_bytes, it.frame_count));
        for entry in &self.manifest.in_flight {
            let end = entry.offset.checked_add(u64::from(entry.length_bytes));
            let is_inside = end.is_some_and(|end| end <= length)
                && (HEADER_BYTES..=HEADER_BYTES + MAX_FRAME_BODY_BYTES)
                    .contains(&(entry.length_bytes as usize))
                && entry.frame_index < frame_count
                && usize::from(entry.shard) < self.manifest.shards.len();
            self.require(is_inside, "frame of records in flight", || {
                let expected = format!("one of {frame_count} in {length} bytes of segment");
                (expected, format!("{entry:?}"))
            })?;
        }
        Ok(())
    }

    fn check_epoch(&self, what: &'static str, epoch: u64) -> Result<(), FormatError> {
        let checkpoint = self.manifest.checkpoint;
        self.require(epoch <= checkpoint, what, || {
            (
                format!("at most {checkpoint}, the checkpoint"),
                epoch.to_string(),
            )
        })
    }

    fn check_file_name(&self, name: &str) -> Result<(), FormatError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let plain = (1..=FILE_NAME_BYTES_MAX).contains(&name.len())
            && !name.starts_with('.')
            && name.bytes().all(is_plain);
        self.require(plain, "file name", || {
            let expected =
                format!("1 to {FILE_NAME_BYTES_MAX} letters, digits or ._- with no leading dot");
            (expected, format!("{name:?}"))
        })
    }

    /// An error with the (expected, found) of `describe` unless `holds`.
    fn require(
        &self,
        holds: bool,
        what: &'static str,
        describe: impl FnOnce() -> (String, String),
    ) -> Result<(), FormatError> {
        if holds {
            return Ok(());
        }
        let (expected, found) = describe();
        Err(FormatError::Corrupt {
            file: self.file.to_owned(),
            offset: HEADER_BYTES as u64,
            what,
            expected,
            found,
        })
    }
}
