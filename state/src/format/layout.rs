//! The fingerprint of how rkyv lays archives out in this build.
//!
//! Archives are readable only with rkyv 0.8 and the same endianness, pointer width and alignment.
//! These are cargo features, which any crate of a user's build can switch for all.

use rkyv::rancor::BoxedError;

/// The first format-incompatible part of rkyv's version.
const RKYV_VERSION: &[u8] = b"rkyv 0.8";

/// A value whose archive looks different under every choice that rkyv leaves to features.
#[derive(rkyv::Archive, rkyv::Serialize)]
struct Probe {
    byte: u8,
    wide: u64,
    inline: String,
    outlined: String,
    list: Vec<u16>,
    option: Option<u32>,
}

/// Fingerprint of rkyv's layout: version, endianness, pointer width, alignment and the form of
/// strings and lists.
///
/// Values archived in pages are readable only by builds with an equal fingerprint; manifests hold
/// it as `value_layout`.
///
/// # Cost
/// Archives a small probe: well below a microsecond, but for starts and checkpoints, not for
/// records.
#[must_use]
pub fn archive_layout() -> u64 {
    let probe = Probe {
        byte: 0x01,
        wide: 0x0203_0405_0607_0809,
        inline: "in".to_owned(),
        outlined: "longer than a pointer and a length".to_owned(),
        list: vec![0x0A0B, 0x0C0D],
        option: Some(0x0E0F_1011),
    };
    let archive =
        rkyv::to_bytes::<BoxedError>(&probe).expect("a small archive in memory cannot fail");
    let mut fingerprint = Fingerprint::new();
    fingerprint.add(RKYV_VERSION);
    fingerprint.add(&archive);
    fingerprint.value()
}

/// 64-bit FNV-1a: defined once and for all, and fast enough for a few bytes.
pub(super) struct Fingerprint(u64);

impl Fingerprint {
    pub(super) fn new() -> Self {
        Self(0xCBF2_9CE4_8422_2325)
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
    }

    /// Adds size and alignment of an archived type.
    pub(super) fn add_type<T>(&mut self) {
        self.add(&(size_of::<T>() as u64).to_le_bytes());
        self.add(&(align_of::<T>() as u64).to_le_bytes());
    }

    pub(super) fn value(&self) -> u64 {
        self.0
    }
}
