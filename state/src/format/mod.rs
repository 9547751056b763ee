//! The bytes of frames, images and manifests, format version 1: bytes in, bytes out.
//!
//! A delta segment is a run of frames, an image holds one shard's dense pages, a manifest makes a
//! checkpoint exist. The layouts stand in `DESIGN.md`. Whatever is read here was written by an
//! unknown hand until its checksum, lengths and ranges were checked, in this order: length bounds,
//! checksum, place (file id, epoch, number), content.
//!
//! Frames and images are plain little-endian fields, manifests are rkyv archives. Fields of a fixed
//! layout have nothing to gain from an archive, and would depend on rkyv's format features, which
//! cargo unifies over a user's whole build, and on the alignment of the buffer they are read into.

mod chunk;
mod error;
mod fold;
mod frame;
mod header;
mod image;
mod in_flight;
mod layout;
mod lines;
mod manifest;
mod manifest_codec;
mod manifest_ranges;

pub use chunk::{Chunk, FrameAddress};
pub use error::FormatError;
pub use fold::{ChainIndex, FoldPlan};
pub use frame::{
    Frame, FrameExpectation, FramePages, MAX_FRAME_BODY_BYTES, PAGE_ID_END, PageDelta,
    frame_length, frame_shard, read_frame,
};
pub use header::{FORMAT_VERSION, HEADER_BYTES};
pub use image::{ImageAddress, ImageFooter, ImageTable, ImageWriter};
pub use in_flight::{InFlightFrame, InFlightPiece, is_in_flight, read_in_flight};
pub use layout::archive_layout;
pub use manifest::{
    ImageEntry, InFlightEntry, Manifest, NO_STAGE, OperatorEntry, SegmentEntry, SettingEntry,
    ShardEntry, SinkEntry, SourceEntry, SplitEntry, TableEntry, WatermarkEntry,
};
pub use manifest_codec::{decode, encode};
