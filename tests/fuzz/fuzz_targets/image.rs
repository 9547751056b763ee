//! An image's pages, checksum table and footer.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| frazil_fuzz::image(bytes));
