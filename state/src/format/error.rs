//! What is wrong with bytes that were read.

/// Bytes of a file cannot be used; nothing of them was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The bytes are damaged, cut short, in the wrong place, or of another kind.
    #[error(
        "cannot use file={file} offset={offset}: {what}: expected {expected}, found {found}; \
         the file is damaged or misplaced: restore it from a copy, or use another checkpoint"
    )]
    Corrupt {
        /// Name of the file.
        file: String,
        /// Where in the file, in bytes.
        offset: u64,
        /// Field or relation.
        what: &'static str,
        /// What would have been right.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// The bytes are of a format version that this build does not read.
    #[error(
        "cannot read file={file}: found format version {found}, expected version {supported}; \
         use a Frazil release that reads version {found}"
    )]
    Version {
        /// Name of the file.
        file: String,
        /// Version in the file.
        found: u32,
        /// The version that this build reads.
        supported: u32,
    },
    /// The archives were written by a build whose rkyv lays them out differently.
    #[error(
        "cannot read file={file}: {what}: expected fingerprint {expected:#018x}, \
         found {found:#018x}; build with the same Frazil release and the same rkyv format features \
         (endianness, pointer width, alignment) as the program that wrote the file"
    )]
    Layout {
        /// Name of the file.
        file: String,
        /// Which archives.
        what: &'static str,
        /// Fingerprint of this build's layout.
        expected: u64,
        /// Fingerprint in the file.
        found: u64,
    },
}
