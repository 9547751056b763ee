//! The files of the newest checkpoint, and reading them without an engine.

use crate::measure_error::MeasureError;
use rustix::fs::{Advice, fadvise};
use rustix::io::{ReadWriteFlags, preadv2};
use std::fs::{self, File};
use std::hint::black_box;
use std::io::{self, IoSliceMut, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

const BLOCK_BYTES: usize = 1 << 20;
/// Places of a file that are looked at for cached bytes.
const LOOKS: u64 = 8;

/// What a file in a checkpoint directory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// All pages of a shard at an epoch.
    Image { epoch: u64 },
    /// The changes of an epoch.
    Delta { epoch: u64 },
}

impl Kind {
    pub(super) fn of(name: &str) -> Option<Self> {
        let (kind, rest) = name.split_once('-')?;
        let epoch = rest.split('-').next()?.parse().ok()?;
        match kind {
            "image" => Some(Self::Image { epoch }),
            "delta" => Some(Self::Delta { epoch }),
            _ => None,
        }
    }
}

/// The base image and the deltas after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CheckpointFiles {
    paths: Vec<PathBuf>,
    pub(super) base_bytes: u64,
    pub(super) chain_bytes: u64,
}

impl CheckpointFiles {
    /// Those that the newest checkpoint in `directory` needs.
    pub(super) fn of(directory: &Path) -> Result<Self, MeasureError> {
        let failed = || MeasureError::file("list", directory);
        let mut found = Vec::new();
        for entry in fs::read_dir(directory).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            if let Some(kind) = Kind::of(&entry.file_name().to_string_lossy()) {
                let length = entry.metadata().map_err(failed())?.len();
                found.push((kind, entry.path(), length));
            }
        }
        let base = found.iter().filter_map(|(kind, ..)| match kind {
            Kind::Image { epoch } => Some(*epoch),
            Kind::Delta { .. } => None,
        });
        let base = base.max().unwrap_or(0);
        let mut files = Self::default();
        for (kind, path, length) in found {
            match kind {
                Kind::Image { epoch } if epoch == base => files.base_bytes += length,
                Kind::Delta { epoch } if epoch > base => files.chain_bytes += length,
                Kind::Image { .. } | Kind::Delta { .. } => continue,
            }
            files.paths.push(path);
        }
        Ok(files)
    }

    /// Asks the system to forget the cached bytes of all of them, which needs no rights; true if
    /// none were found afterwards. Some file systems keep them, and so does memory on a tmpfs.
    pub(super) fn evict(&self) -> Result<bool, MeasureError> {
        let mut is_cold = true;
        for path in &self.paths {
            let failed = || MeasureError::file("evict", path);
            let file = File::open(path).map_err(failed())?;
            let length = file.metadata().map_err(failed())?.len();
            forget(&file).map_err(failed())?;
            is_cold &= !has_cached_bytes(&file, length);
            // A look may have begun to read ahead.
            forget(&file).map_err(failed())?;
        }
        Ok(is_cold)
    }

    /// Reads all of them; gives the seconds that it took.
    pub(super) fn read(&self) -> Result<f64, MeasureError> {
        let mut block = vec![0; BLOCK_BYTES];
        let begun = Instant::now();
        for path in &self.paths {
            let failed = || MeasureError::file("read", path);
            let mut file = File::open(path).map_err(failed())?;
            while file.read(&mut block).map_err(failed())? > 0 {
                black_box(&block);
            }
        }
        Ok(begun.elapsed().as_secs_f64())
    }
}

fn forget(file: &File) -> io::Result<()> {
    Ok(fadvise(file, 0, None, Advice::DontNeed)?)
}

/// Whether some place of the file can be read without waiting for a disk.
fn has_cached_bytes(file: &File, length: u64) -> bool {
    (0..LOOKS).any(|look| {
        let mut byte = [0];
        let offset = length / LOOKS * look;
        let mut into = [IoSliceMut::new(&mut byte)];
        preadv2(file, &mut into, offset, ReadWriteFlags::NOWAIT).is_ok_and(|read| read > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_base_and_the_deltas_after_it_are_read() {
        let folder = tempfile::tempdir().unwrap();
        for (name, length) in [
            ("delta-0000000001", 1),
            ("image-0000000001-000", 10),
            ("image-0000000003-000", 100),
            ("image-0000000003-001", 200),
            ("delta-0000000003", 1_000),
            ("delta-0000000004", 2_000),
            ("delta-0000000005", 3_000),
            ("manifest-0000000005", 7),
            ("LOCK", 7),
        ] {
            fs::write(folder.path().join(name), vec![0; length]).unwrap();
        }
        let files = CheckpointFiles::of(folder.path()).unwrap();
        assert_eq!((files.base_bytes, files.chain_bytes), (300, 5_000));
        assert_eq!(files.paths.len(), 4);
        assert!(files.read().unwrap() > 0.0);
        // Whether it may be cold is the file system's; that it can be asked for is not.
        files.evict().unwrap();
        assert!(files.read().unwrap() > 0.0);
        assert!(CheckpointFiles::of(&folder.path().join("none")).is_err());
    }
}
