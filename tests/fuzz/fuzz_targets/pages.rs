//! Pages of a store that passed their checksums and are wrong all the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| frazil_fuzz::pages(bytes));
