//! A full disk is an error that leaves segments usable, seen on a real file system of 24 MiB.
//!
//! The test runs itself again in a private mount namespace with a small tmpfs. Where the machine
//! does not allow that, it says so and the planned faults of `storage_faults.rs` have to do.
#![expect(clippy::unwrap_used, reason = "a helper fails its test by panicking")]

use std::path::Path;
use std::process::Command;

use frazil_io::storage::{FileStorage, Storage, WriteMode};

const DIRECTORY_VARIABLE: &str = "FRAZIL_TEST_SMALL_DISK";
const MOUNTED: &str = "small disk mounted";

#[test]
fn a_full_disk_leaves_segments_usable() {
    if let Some(directory) = std::env::var_os(DIRECTORY_VARIABLE) {
        println!("{MOUNTED}");
        for write_mode in [WriteMode::Mapped, WriteMode::Direct, WriteMode::Plain] {
            fill_and_go_on(Path::new(&directory), write_mode);
        }
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=24m tmpfs \"$0\" && \
                  exec \"$1\" --exact --nocapture a_full_disk_leaves_segments_usable";
    let inner = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script])
        .arg(directory.path())
        .arg(std::env::current_exe().unwrap())
        .env(DIRECTORY_VARIABLE, directory.path())
        .output();
    match inner {
        Ok(output) if String::from_utf8_lossy(&output.stdout).contains(MOUNTED) => {
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        _ => eprintln!("not run: no private mount namespace on this machine"),
    }
}

fn fill_and_go_on(directory: &Path, write_mode: WriteMode) {
    let storage = FileStorage::open(directory)
        .unwrap()
        .with_write_mode(write_mode);
    let refused = storage.create("huge", 100 << 20).err().unwrap();
    assert!(refused.is_full(), "{refused}");
    assert_eq!(storage.list().unwrap(), [""; 0]);

    let piece: Vec<u8> = (0..300_007_u32)
        .map(|index| index.to_le_bytes()[0])
        .collect();
    let mut segment = storage.create("long", 1 << 20).unwrap();
    let mut written_count = 0;
    let refused = loop {
        match segment.append(&piece) {
            Ok(()) => written_count += 1,
            Err(error) => break error,
        }
    };
    assert!(refused.is_full(), "{refused}");
    assert!(
        written_count >= 60,
        "{written_count} pieces are less than the disk holds"
    );
    assert_eq!(segment.length_bytes(), written_count * piece.len() as u64);

    let refused = segment.append(&vec![0; 24 << 20]).err().unwrap();
    assert!(refused.is_full(), "{refused}");
    segment.append(b"the rest").unwrap();
    segment.sync().unwrap();
    let bytes = std::fs::read(directory.join("long")).unwrap();
    let expected = piece.repeat(usize::try_from(written_count).unwrap());
    assert!(
        bytes == [expected.as_slice(), b"the rest"].concat(),
        "the bytes differ"
    );

    // What is left below the last window, so that nothing can be published any more.
    let mut filler = storage.create("filler", 0).unwrap();
    while filler.append(&[1; 4096]).is_ok() {}
    let refused = storage.publish("manifest", &piece).err().unwrap();
    assert!(refused.is_full(), "{refused}");
    assert_eq!(storage.list().unwrap(), ["filler", "long"]);
    // An open file keeps its disk.
    drop(segment);
    storage.remove("long").unwrap();
    storage.publish("manifest", &piece).unwrap();
    for name in ["filler", "manifest"] {
        storage.remove(name).unwrap();
    }
}
