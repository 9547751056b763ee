//! Files that the usual HdrHistogram tools open.

pub mod hgrm;
pub mod hlog;
