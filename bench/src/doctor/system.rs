//! Files by which the kernel tells about itself.

use std::fs;
use std::path::PathBuf;

/// `/proc` and `/sys`, below a folder that tests choose.
#[derive(Debug)]
pub(super) struct System {
    root: PathBuf,
}

impl System {
    /// This machine.
    pub(super) fn here() -> Self {
        Self::below("/")
    }

    pub(super) fn below(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The text of a file without blanks around it; none where there is no such file or it may not
    /// be read.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let text = fs::read_to_string(self.root.join(path)).ok()?;
        Some(text.trim().to_owned())
    }

    /// The number in a file.
    pub(super) fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    /// Names in a folder, sorted; none where there is no such folder.
    pub(super) fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.root.join(folder)) else {
            return Vec::new();
        };
        let names = entries.flatten().map(|entry| entry.file_name());
        let mut names: Vec<_> = names.filter_map(|name| name.into_string().ok()).collect();
        names.sort_unstable();
        names
    }

    /// The rest of the line of a file that begins with `name`.
    pub(super) fn field(&self, path: &str, name: &str) -> Option<String> {
        let text = self.text(path)?;
        let mut values = text.lines().filter_map(|line| line.strip_prefix(name));
        values.next().map(|value| value.trim().to_owned())
    }
}

#[cfg(test)]
impl System {
    /// A machine of these files, in a folder that goes with the first of the pair.
    pub(super) fn of(files: &[(&str, &str)]) -> (tempfile::TempDir, Self) {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let system = Self::below(folder.path());
        (folder, system)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_texts_numbers_fields_and_folders() {
        let files = [("proc/a", "17\n"), ("proc/b", "X:  1\nY: 2 kB\n")];
        let (_folder, system) = System::of(&files);
        assert_eq!(system.number("proc/a"), Some(17));
        assert_eq!(system.field("proc/b", "Y:").as_deref(), Some("2 kB"));
        assert_eq!(system.names("proc"), ["a", "b"]);
        assert_eq!((system.text("c"), system.names("c")), (None, Vec::new()));
    }
}
