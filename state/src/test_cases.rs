//! How often property tests draw a history.

use proptest::prelude::ProptestConfig;

/// `count` cases, or one where Miri interprets it, a thousand times slower and without files to
/// keep failures in.
pub(crate) fn cases(count: u32) -> ProptestConfig {
    if cfg!(miri) {
        return ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::with_cases(1)
        };
    }
    ProptestConfig::with_cases(count)
}
