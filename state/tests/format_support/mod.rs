//! Damage for the formats' tests, and seeded random numbers.

use std::ops::Range;

use frazil_state::format::FormatError;

/// Miri is a thousand times slower.
const MUTATION_COUNT: u32 = if cfg!(miri) { 50 } else { 20_000 };
/// From one flipped bit, or one cut, to the next.
const STRIDE: usize = if cfg!(miri) { 1_009 } else { 1 };

/// SplitMix64: small, and the same on every machine.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `end` exclusive.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("below a usize")
    }
}

/// A decoder under attack: the result does not matter, only whether there is one.
pub(crate) type Decode<'a> = &'a dyn Fn(&[u8]) -> Result<(), FormatError>;

/// Every single-bit flip, every truncation and thousands of seeded random mutations must be
/// refused.
pub(crate) fn assert_all_damage_is_refused(whole: &[u8], decode: Decode<'_>) {
    decode(whole).expect("undamaged bytes are read");
    let mut damaged = whole.to_vec();
    for bit in (0..whole.len() * 8).step_by(STRIDE) {
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(
            decode(&damaged).is_err(),
            "flip of bit={bit} went unnoticed"
        );
        damaged[bit / 8] ^= 1 << (bit % 8);
    }
    for length in (0..whole.len()).step_by(STRIDE) {
        assert!(
            decode(&whole[..length]).is_err(),
            "cut to length={length} went unnoticed"
        );
    }
    for seed in 0..MUTATION_COUNT {
        let mut random = Random(u64::from(seed));
        let mut bytes = whole.to_vec();
        mutate(&mut bytes, &mut random);
        // Bytes appended are the next frame's or nobody's; the callers that forbid them test that
        // themselves.
        if !bytes.starts_with(whole) {
            assert!(
                decode(&bytes).is_err(),
                "mutation with seed={seed} went unnoticed"
            );
        }
    }
}

/// Mutations whose checksum was made right again reach the checks behind it: any answer will do,
/// but an answer.
pub(crate) fn assert_resealed_damage_is_survived(
    whole: &[u8],
    header_at: &dyn Fn(usize) -> Range<usize>,
    decode: Decode<'_>,
) {
    let mut refused_count = 0;
    for seed in 0..MUTATION_COUNT {
        let mut random = Random(u64::from(seed) << 32);
        let mut bytes = whole.to_vec();
        mutate(&mut bytes, &mut random);
        if bytes.len() >= 64 {
            let header = header_at(bytes.len());
            reseal(&mut bytes, header);
        }
        refused_count += u32::from(decode(&bytes).is_err());
    }
    assert!(
        refused_count > MUTATION_COUNT / 10,
        "most mutations break something: {refused_count}"
    );
}

/// Makes the checksum right whose header stands at `header`; all bytes but the crc field are
/// covered in file order.
pub(crate) fn reseal(bytes: &mut [u8], header: Range<usize>) {
    let crc_at = header.start + 12;
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&bytes[..crc_at]);
    hasher.update(&bytes[crc_at + 4..]);
    let crc = hasher.finalize();
    bytes[crc_at..crc_at + 4].copy_from_slice(&crc.to_le_bytes());
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(3) {
        if bytes.is_empty() {
            return;
        }
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.next().to_le_bytes()[0],
            2 => bytes.truncate(at),
            3 => bytes.insert(at, 0),
            4 => {
                let end = bytes.len().min(at + 8);
                let extreme = if random.below(2) == 0 { 0x00 } else { 0xFF };
                bytes[at..end].fill(extreme);
            }
            _ => {
                let length = random.below(bytes.len() - at) + 1;
                let from = random.below(bytes.len() - length + 1);
                bytes.copy_within(from..from + length, at);
            }
        }
    }
}
