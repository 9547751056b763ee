//! What is remembered of an input to notice that it has changed.

use std::os::unix::ffi::OsStrExt;

use super::scan::OpenFile;
use super::{TextError, TextFile};

/// Read at the front and at the back of every file.
const SAMPLE_BYTES: u64 = 64 << 10;

/// Over names and lengths.
pub(super) fn listing_crc(files: &[TextFile]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    for file in files {
        let name = file.path.as_os_str().as_bytes();
        crc.update(&(name.len() as u64).to_le_bytes());
        crc.update(name);
        crc.update(&file.length_bytes.to_le_bytes());
    }
    crc.finalize()
}

/// Over the first and the last bytes of every file.
pub(super) fn content_crc(files: &[TextFile]) -> Result<u32, TextError> {
    let mut crc = crc32fast::Hasher::new();
    let mut sample = Vec::new();
    for file in files {
        let front_end = file.length_bytes.min(SAMPLE_BYTES);
        let back_start = file
            .length_bytes
            .saturating_sub(SAMPLE_BYTES)
            .max(front_end);
        let open = OpenFile::open(file)?;
        for (start, end) in [(0, front_end), (back_start, file.length_bytes)] {
            let length = usize::try_from(end - start).expect("a sample fits in memory");
            sample.resize(length, 0);
            open.read_exact(&mut sample, start)?;
            crc.update(&sample);
        }
    }
    Ok(crc.finalize())
}
