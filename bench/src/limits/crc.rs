//! Checksums of pages.

use std::hint::black_box;
use std::time::Instant;

/// Ns for the CRC-32 of a hot page of 4 KiB.
pub(super) fn crc_page_ns(count: u32) -> f64 {
    let page = vec![0x5a_u8; 4096];
    let begun = Instant::now();
    for _ in 0..count {
        black_box(crc32fast::hash(black_box(&page)));
    }
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(count)
}
