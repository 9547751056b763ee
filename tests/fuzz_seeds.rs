//! What the fuzz targets do, in the ordinary suite: every seed, every input that once was a bug,
//! and a fixed number of mutations of them. `tests/fuzz` goes on from there.

use std::fs;
use std::path::{Path, PathBuf};

/// The functions that the fuzz targets call, as they call them.
#[path = "fuzz/src/lib.rs"]
pub mod fuzz;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder).expect("a folder of seeds lists");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("lists").path()).collect();
    paths.sort();
    paths
        .iter()
        .map(|path| fs::read(path).expect("a seed reads"))
        .collect()
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("below a usize")
    }
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        match random.below(5) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, 0xff),
            2 => bytes
                .splice(at..at, random.next().to_le_bytes())
                .for_each(drop),
            _ if at == bytes.len() => {}
            3 => bytes[at] ^= 1 << random.below(8),
            _ => bytes[at] = random.next().to_le_bytes()[0],
        }
    }
}

/// Feeds bytes, and says on a panic which they were.
fn feed(target: &str, function: fn(&[u8]), case: &str, bytes: &[u8]) {
    let fed = std::panic::catch_unwind(|| function(bytes));
    assert!(fed.is_ok(), "{target}: {case} panics: {bytes:?}");
}

fn all_end_well(target: &str, function: fn(&[u8]), mutation_count: u64) {
    // The formats' seeds are the golden files; a folder for a target is made with its first bug.
    let mut seeds = files(&root().join("../state/tests/fixtures/v1"));
    let own = root().join("fuzz/seeds").join(target);
    if own.exists() {
        seeds.extend(files(&own));
    }
    for (index, bytes) in seeds.iter().enumerate() {
        feed(target, function, &format!("seed file {index}"), bytes);
    }
    for seed in 0..mutation_count {
        let mut random = Random(seed);
        let mut bytes = seeds[random.below(seeds.len())].clone();
        mutate(&mut bytes, &mut random);
        feed(target, function, &format!("mutation seed={seed}"), &bytes);
    }
}

#[test]
fn frames_give_deltas_or_errors() {
    all_end_well("frame", fuzz::frame, 20_000);
}

#[test]
fn images_give_pages_or_errors() {
    all_end_well("image", fuzz::image, 5_000);
}

#[test]
fn manifests_give_themselves_or_errors() {
    all_end_well("manifest", fuzz::manifest, 20_000);
}

#[test]
fn wrong_pages_are_found_or_read_well() {
    all_end_well("pages", fuzz::pages, 100);
    for seed in 0..2_000 {
        let mut random = Random(seed);
        let edits = (0..=random.below(3)).flat_map(|_| {
            let [page, what, _, _, value @ ..] = random.next().to_le_bytes();
            // Most of what leads somewhere stands at the pages' beginnings.
            let at = random.below(4096) >> random.below(8);
            let [low, high] = u16::try_from(at).expect("below 4096").to_le_bytes();
            // Small numbers are page numbers, offsets and counts.
            let value = u32::from_le_bytes(value) >> random.below(32);
            let [a, b, c, d] = value.to_le_bytes();
            [page, what, low, high, a, b, c, d]
        });
        let edits: Vec<u8> = edits.collect();
        feed("pages", fuzz::pages, &format!("edits seed={seed}"), &edits);
    }
}
