//! The lock file: which version of which package this build has.

use super::error::CorpusError;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// The packages of one `Cargo.lock`.
#[derive(Debug, Deserialize)]
pub struct LockFile {
    #[serde(rename = "package", default)]
    packages: Vec<LockedPackage>,
}

/// One package of the lock file; with a version it is unique.
#[derive(Debug, Deserialize)]
pub struct LockedPackage {
    /// The package's own name, whatever its users call it.
    pub name: String,
    /// The full version, with build metadata.
    pub version: String,
    /// Where it comes from; a workspace member has none.
    pub source: Option<String>,
    /// Each is `name`, or `name version` where the lock file has several versions of it.
    #[serde(default)]
    dependencies: Vec<String>,
}

impl LockFile {
    /// Reads `Cargo.lock` of the workspace at `root`.
    ///
    /// # Errors
    ///
    /// [`CorpusError::WorkspaceGone`] if there is none, [`CorpusError::Read`] or
    /// [`CorpusError::Toml`] if it cannot be read.
    pub fn read(root: &Path) -> Result<Self, CorpusError> {
        let path = root.join("Cargo.lock");
        match read_toml(&path) {
            Err(CorpusError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => {
                Err(CorpusError::WorkspaceGone { lock_file: path })
            }
            other => other,
        }
    }

    /// The workspace member called `name`.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&LockedPackage> {
        self.packages
            .iter()
            .find(|package| package.name == name && package.source.is_none())
    }

    /// The package that `dependent` means by `name`, with `requirement` deciding where it uses
    /// several versions under different names.
    ///
    /// # Errors
    ///
    /// [`CorpusError::Unlocked`] unless exactly one locked package fits.
    pub fn resolve(
        &self,
        dependent: &LockedPackage,
        name: &str,
        requirement: Option<&str>,
    ) -> Result<&LockedPackage, CorpusError> {
        let named: Vec<_> = self
            .packages
            .iter()
            .filter(|package| package.name == name && dependent.names(package))
            .collect();
        let fitting: Vec<_> = match (&named[..], requirement) {
            ([_, _, ..], Some(requirement)) => named
                .into_iter()
                .filter(|found| is_compatible(requirement, &found.version))
                .collect(),
            _ => named,
        };
        if let [package] = fitting[..] {
            return Ok(package);
        }
        Err(CorpusError::Unlocked {
            package: dependent.name.clone(),
            dependency: name.to_owned(),
            found_count: fitting.len(),
        })
    }
}

impl LockedPackage {
    fn names(&self, other: &Self) -> bool {
        self.dependencies.iter().any(|entry| {
            let mut words = entry.split(' ');
            words.next() == Some(other.name.as_str())
                && words.next().is_none_or(|version| version == other.version)
        })
    }
}

/// Reads a TOML file into `T`.
pub(super) fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<T, CorpusError> {
    let text = fs::read_to_string(path).map_err(CorpusError::read(path))?;
    toml::from_str(&text).map_err(|source| CorpusError::Toml {
        path: path.to_path_buf(),
        source: Box::new(source),
    })
}

/// Whether `version` is in the same compatible line as `requirement`: equal up to and including
/// the first number that is not zero. That tells apart the versions that one package can lock
/// side by side, since cargo locks only one of each line.
fn is_compatible(requirement: &str, version: &str) -> bool {
    let line = |text: &str| -> Vec<String> {
        let numbers = text.trim_start_matches(|first: char| !first.is_ascii_digit());
        let mut parts = Vec::new();
        for part in numbers
            .split(|split: char| !split.is_ascii_alphanumeric())
            .take(3)
        {
            parts.push(part.to_owned());
            if part != "0" {
                break;
            }
        }
        parts
    };
    let wanted = line(requirement);
    line(version).starts_with(&wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"
        version = 4
        [[package]]
        name = "top"
        version = "0.1.0"
        dependencies = ["one", "two 1.4.0", "two 2.0.1+spec-1"]
        [[package]]
        name = "one"
        version = "0.3.1"
        source = "registry+https://example.invalid"
        [[package]]
        name = "two"
        version = "1.4.0"
        source = "registry+https://example.invalid"
        [[package]]
        name = "two"
        version = "2.0.1+spec-1"
        source = "registry+https://example.invalid"
        [[package]]
        name = "two"
        version = "3.0.0"
        source = "registry+https://example.invalid"
    "#;

    #[test]
    fn resolves_by_name_and_by_requirement() {
        let lock: LockFile = toml::from_str(LOCK).unwrap();
        let top = lock.member("top").unwrap();
        assert_eq!(
            lock.resolve(top, "one", Some("9")).unwrap().version,
            "0.3.1"
        );
        assert_eq!(
            lock.resolve(top, "two", Some("^1.2")).unwrap().version,
            "1.4.0"
        );
        assert_eq!(
            lock.resolve(top, "two", Some("=2.0.1")).unwrap().version,
            "2.0.1+spec-1"
        );
        assert!(
            lock.member("one").is_none(),
            "a registry package is no member"
        );
    }

    #[test]
    fn refuses_what_is_not_locked_exactly_once() {
        let lock: LockFile = toml::from_str(LOCK).unwrap();
        let top = lock.member("top").unwrap();
        let none = lock.resolve(top, "three", None).unwrap_err().to_string();
        assert!(none.contains("`top` 0 packages `three`"), "{none}");
        let both = lock.resolve(top, "two", None).unwrap_err().to_string();
        assert!(both.contains("`top` 2 packages `two`"), "{both}");
        assert!(
            lock.resolve(top, "two", Some("3")).is_err(),
            "3.0.0 belongs to another package"
        );
    }

    #[test]
    fn compatible_lines_follow_the_first_number_that_is_not_zero() {
        assert!(is_compatible("1", "1.9.3"));
        assert!(is_compatible("0.2", "0.2.17"));
        assert!(is_compatible("~0.2.3", "0.2.17"));
        assert!(is_compatible(">=1.0, <2", "1.4.0"));
        assert!(!is_compatible("0.2", "0.3.0"));
        assert!(!is_compatible("1", "10.0.0"));
        assert!(is_compatible("0", "0.7.1"));
    }

    #[test]
    fn missing_lock_file_says_the_workspace_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let error = LockFile::read(folder.path()).unwrap_err();
        assert!(matches!(error, CorpusError::WorkspaceGone { .. }));
        assert!(error.to_string().contains("--input"), "{error}");
    }
}
