//! The frames of a segment.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| frazil_fuzz::frame(bytes));
