//! Copying pages and reading at random.

use std::hint::black_box;
use std::time::Instant;

const PAGE_BYTES: usize = 4096;

/// Ns to copy 4 KiB that lie in the first-level cache.
pub(super) fn copy_hot_ns(count: u32) -> f64 {
    let source = vec![1_u8; PAGE_BYTES];
    let mut target = vec![0_u8; PAGE_BYTES];
    let begun = Instant::now();
    for _ in 0..count {
        black_box(&mut target[..]).copy_from_slice(black_box(&source[..]));
    }
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(count)
}

/// Ns to copy 4 KiB from random places of `bytes` bytes to a hot page.
pub(super) fn copy_cold_ns(bytes: usize, count: u32) -> f64 {
    let source = vec![1_u8; bytes];
    let mut target = vec![0_u8; PAGE_BYTES];
    let pages = (bytes / PAGE_BYTES) as u64;
    let mut random = Random(1);
    let begun = Instant::now();
    for _ in 0..count {
        let from = random.below(pages) * PAGE_BYTES;
        black_box(&mut target[..]).copy_from_slice(&source[from..from + PAGE_BYTES]);
    }
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(count)
}

/// Ns for a read that depends on the one before, at random places of `bytes` bytes.
pub(super) fn dependent_read_ns(bytes: usize, count: u32) -> f64 {
    let chain = random_cycle(bytes / size_of::<u64>());
    let mut at = 0_u64;
    let begun = Instant::now();
    for _ in 0..count {
        at = chain[usize::try_from(at).expect("an index of the chain")];
    }
    let elapsed = begun.elapsed();
    black_box(at);
    elapsed.as_secs_f64() * 1e9 / f64::from(count)
}

/// Each element names the next one to read; one cycle through all cache lines (Sattolo).
fn random_cycle(element_count: usize) -> Vec<u64> {
    const ELEMENTS_IN_LINE: usize = 64 / size_of::<u64>();
    let line_count = element_count / ELEMENTS_IN_LINE;
    let mut order: Vec<u64> = (0..line_count as u64).collect();
    let mut random = Random(7);
    for last in (1..line_count).rev() {
        let other = random.below(last as u64);
        order.swap(last, other);
    }
    let mut chain = vec![0; element_count];
    for (line, next) in order.iter().enumerate() {
        chain[line * ELEMENTS_IN_LINE] = next * ELEMENTS_IN_LINE as u64;
    }
    chain
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound).expect("below a number of elements in memory")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycle_visits_every_line_once() {
        let chain = random_cycle(64 * 8);
        let mut at = 0;
        for step in 1..=64 {
            at = usize::try_from(chain[at]).unwrap();
            assert_eq!(at == 0, step == 64, "step {step}");
        }
    }

    #[test]
    fn all_figures_are_above_zero() {
        assert!(copy_hot_ns(1000) > 0.0);
        assert!(copy_cold_ns(1 << 20, 1000) > 0.0);
        assert!(dependent_read_ns(1 << 16, 1000) > 0.0);
    }
}
