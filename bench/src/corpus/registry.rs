//! Cargo's registry folder: where the sources of fetched packages lie.

use super::error::CorpusError;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The source folders of every registry that cargo has fetched from, one for each index.
#[derive(Debug)]
pub struct Registry {
    sources: PathBuf,
    indexes: Vec<PathBuf>,
}

impl Registry {
    /// Opens the registry below `cargo_home`; one that does not exist holds nothing.
    ///
    /// # Errors
    ///
    /// [`CorpusError::Read`] if it cannot be listed.
    pub fn open(cargo_home: &Path) -> Result<Self, CorpusError> {
        let sources = cargo_home.join("registry").join("src");
        let mut indexes = Vec::new();
        if sources.is_dir() {
            for entry in fs::read_dir(&sources).map_err(CorpusError::read(&sources))? {
                indexes.push(entry.map_err(CorpusError::read(&sources))?.path());
            }
        }
        indexes.sort();
        Ok(Self { sources, indexes })
    }

    /// The source folder of one package: the first index folder that has it.
    ///
    /// # Errors
    ///
    /// [`CorpusError::NotFetched`] if none has.
    pub fn find(&self, name: &str, version: &str) -> Result<PathBuf, CorpusError> {
        let folder = format!("{name}-{version}");
        self.indexes
            .iter()
            .map(|index| index.join(&folder))
            .find(|path| path.join("Cargo.toml").is_file())
            .ok_or_else(|| CorpusError::NotFetched {
                name: name.to_owned(),
                version: version.to_owned(),
                searched: self.sources.join("*").join(&folder).display().to_string(),
            })
    }
}

/// Cargo's home folder: `$CARGO_HOME`, or `.cargo` in the home folder.
#[must_use]
pub fn cargo_home() -> PathBuf {
    match env::var_os("CARGO_HOME") {
        Some(home) if !home.is_empty() => home.into(),
        _ => env::home_dir().unwrap_or_default().join(".cargo"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_index_folder_that_has_the_package() {
        let home = tempfile::tempdir().unwrap();
        let sources = home.path().join("registry/src");
        let package = sources.join("index-b/some-1.0.0+spec-2");
        fs::create_dir_all(sources.join("index-a")).unwrap();
        fs::create_dir_all(&package).unwrap();
        fs::write(package.join("Cargo.toml"), "").unwrap();

        let registry = Registry::open(home.path()).unwrap();
        assert_eq!(registry.find("some", "1.0.0+spec-2").unwrap(), package);
        let error = registry.find("some", "2.0.0").unwrap_err().to_string();
        assert!(
            error.contains("some 2.0.0") && error.contains("cargo fetch"),
            "{error}"
        );
    }

    #[test]
    fn missing_registry_holds_nothing() {
        let home = tempfile::tempdir().unwrap();
        let registry = Registry::open(home.path()).unwrap();
        assert!(matches!(
            registry.find("a", "1"),
            Err(CorpusError::NotFetched { .. })
        ));
    }
}
