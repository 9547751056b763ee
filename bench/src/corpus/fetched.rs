//! The default input: the source text of the crates that cargo fetched to build this program.

use super::error::CorpusError;
use super::lock_file::{LockFile, LockedPackage};
use super::manifest::Manifest;
use super::registry::{Registry, cargo_home};
use super::tree::append_files;
use crate::workspace;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The package whose dependencies are the corpus.
const TOP: &str = env!("CARGO_PKG_NAME");

/// The `.rs` files, sorted by path, of every registry package that each build of this program on
/// Linux has. Read them in place; they are not to be copied or changed.
///
/// ```
/// let files = frazil_bench::corpus::fetched::default_corpus()?;
/// assert!(files.iter().any(|file| file.ends_with("src/lib.rs")));
/// # Ok::<(), frazil_bench::corpus::error::CorpusError>(())
/// ```
///
/// # Errors
///
/// [`CorpusError`] naming the package or file that is missing, and the next step.
pub fn default_corpus() -> Result<Vec<PathBuf>, CorpusError> {
    fetched_sources(workspace::root(), &cargo_home(), TOP)
}

fn fetched_sources(root: &Path, cargo_home: &Path, top: &str) -> Result<Vec<PathBuf>, CorpusError> {
    let is_rust = |path: &Path| path.extension().is_some_and(|extension| extension == "rs");
    let mut files = Vec::new();
    for folder in registry_folders(root, cargo_home, top)? {
        append_files(&folder, is_rust, &mut files)?;
    }
    files.sort();
    Ok(files)
}

/// Walks the dependencies from `top`, and returns the source folders of all registry packages met.
fn registry_folders(
    root: &Path,
    cargo_home: &Path,
    top: &str,
) -> Result<BTreeSet<PathBuf>, CorpusError> {
    let lock = LockFile::read(root)?;
    let workspace = Manifest::read(root)?;
    let members = workspace.members(root)?;
    let registry = Registry::open(cargo_home)?;

    let mut folders = BTreeSet::new();
    let mut met = BTreeSet::new();
    let mut pending: Vec<&LockedPackage> = lock.member(top).into_iter().collect();
    while let Some(package) = pending.pop() {
        if !met.insert((&package.name, &package.version)) {
            continue;
        }
        let folder = folder_of(package, &members, &registry)?;
        for required in Manifest::read(&folder)?.required(&workspace) {
            pending.push(lock.resolve(package, required.package, required.requirement)?);
        }
        if package.source.is_some() {
            folders.insert(folder);
        }
    }
    Ok(folders)
}

fn folder_of(
    package: &LockedPackage,
    members: &BTreeMap<String, PathBuf>,
    registry: &Registry,
) -> Result<PathBuf, CorpusError> {
    match members.get(&package.name) {
        Some(folder) if package.source.is_none() => Ok(folder.clone()),
        _ => registry.find(&package.name, &package.version),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const LOCK: &str = r#"
        [[package]]
        name = "top"
        version = "0.1.0"
        dependencies = ["inner", "test-only"]
        [[package]]
        name = "inner"
        version = "0.1.0"
        dependencies = ["leaf"]
        [[package]]
        name = "leaf"
        version = "1.0.0"
        source = "registry+https://example.invalid"
        dependencies = ["optional", "twig 2.0.0"]
        [[package]]
        name = "optional"
        version = "1.0.0"
        source = "registry+https://example.invalid"
        [[package]]
        name = "test-only"
        version = "1.0.0"
        source = "registry+https://example.invalid"
        [[package]]
        name = "twig"
        version = "1.0.0"
        source = "registry+https://example.invalid"
        [[package]]
        name = "twig"
        version = "2.0.0"
        source = "registry+https://example.invalid"
    "#;

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A workspace `top -> inner -> leaf -> twig 2.0.0` and its cargo home in `folder`.
    fn example(folder: &Path) -> (PathBuf, PathBuf) {
        let (root, home) = (folder.join("root"), folder.join("home"));
        let index = home.join("registry/src/index");
        write(&root.join("Cargo.lock"), LOCK);
        write(
            &root.join("Cargo.toml"),
            "[workspace]\nmembers = ['top', 'in']",
        );
        let top = "[package]\nname = 'top'\n[dependencies]\ninner.path = '../in'\n\
                   [dev-dependencies]\ntest-only = '1'";
        write(&root.join("top/Cargo.toml"), top);
        let inner = "[package]\nname = 'inner'\n[dependencies]\nleaf = '1'";
        write(&root.join("in/Cargo.toml"), inner);
        let leaf = "[package]\nname = 'leaf'\n[dependencies.wood]\npackage = 'twig'\n\
                    version = '2'\n[dependencies.optional]\nversion = '1'\noptional = true";
        write(&index.join("leaf-1.0.0/Cargo.toml"), leaf);
        write(&index.join("leaf-1.0.0/src/lib.rs"), "leaf");
        write(&index.join("leaf-1.0.0/README.md"), "leaf");
        write(
            &index.join("twig-2.0.0/Cargo.toml"),
            "[package]\nname = 'twig'",
        );
        write(&index.join("twig-2.0.0/tests/b.rs"), "twig");
        write(&index.join("twig-2.0.0/src/lib.rs"), "twig");
        write(&index.join("twig-2.0.0/src/empty.rs"), "");
        (root, home)
    }

    #[test]
    fn lists_the_source_text_of_required_packages_only() {
        let folder = tempfile::tempdir().unwrap();
        let (root, home) = example(folder.path());
        let index = home.join("registry/src/index");
        let expected = [
            "leaf-1.0.0/src/lib.rs",
            "twig-2.0.0/src/lib.rs",
            "twig-2.0.0/tests/b.rs",
        ];
        let files = fetched_sources(&root, &home, "top").unwrap();
        assert_eq!(files, expected.map(|file| index.join(file)));
    }

    #[test]
    fn names_the_package_that_was_not_fetched() {
        let folder = tempfile::tempdir().unwrap();
        let (root, home) = example(folder.path());
        fs::remove_dir_all(home.join("registry/src/index/twig-2.0.0")).unwrap();
        let error = fetched_sources(&root, &home, "top")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("twig 2.0.0") && error.contains("cargo fetch"),
            "{error}"
        );
    }

    #[test]
    fn this_build_has_a_corpus() {
        let files = default_corpus().unwrap();
        assert!(files.is_sorted());
        assert!(super::super::size::total_bytes(&files).unwrap() > 1 << 20);
        let has = |part: &str| {
            files
                .iter()
                .any(|file| file.to_string_lossy().contains(part))
        };
        assert!(has("/serde_json-"), "a direct dependency");
        assert!(has("/serde_core-"), "a dependency of a dependency");
        assert!(
            !has("/proptest-"),
            "dev-dependencies are not in every build"
        );
    }
}
