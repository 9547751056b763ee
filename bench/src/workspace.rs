//! Where this program was built, and where its results go.

use std::path::{Path, PathBuf};

/// The workspace that this program was built from, as it was named at build time; it may
/// be gone by now.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a workspace member's folder has a parent")
}

/// The default work folder: `target/frazil` in the workspace, or in the current folder if the
/// workspace is gone.
#[must_use]
pub fn default_directory() -> PathBuf {
    let relative = Path::new("target").join("frazil");
    if root().is_dir() {
        root().join(relative)
    } else {
        relative
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_holds_the_lock_file_of_this_build() {
        assert!(root().join("Cargo.lock").is_file());
        assert_eq!(default_directory(), root().join("target/frazil"));
    }
}
