//! A package's `Cargo.toml`: which dependencies every build of it on Linux has.

use super::error::CorpusError;
use super::lock_file::read_toml;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The target tables that hold for every build on Linux. Others may or may not, by processor and
/// by compiler flags, and are left out.
const LINUX_TARGETS: [&str; 3] = [
    "cfg(unix)",
    "cfg(target_os = \"linux\")",
    "cfg(not(windows))",
];

type Dependencies = BTreeMap<String, Dependency>;

/// The parts of a `Cargo.toml` that decide which packages a build has.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Manifest {
    dependencies: Dependencies,
    target: BTreeMap<String, TargetTable>,
    package: Option<Package>,
    workspace: Option<Workspace>,
}

/// A dependency that every build of the package on Linux has.
#[derive(Debug, PartialEq, Eq)]
pub struct Required<'a> {
    /// The name of the package, whatever the dependent calls it.
    pub package: &'a str,
    /// The version requirement, where the manifest states one.
    pub requirement: Option<&'a str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TargetTable {
    dependencies: Dependencies,
}

#[derive(Debug, Deserialize)]
struct Package {
    name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Workspace {
    members: Vec<PathBuf>,
    dependencies: Dependencies,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Dependency {
    Version(String),
    Detailed(Details),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    version: Option<String>,
    package: Option<String>,
    optional: bool,
    workspace: bool,
}

impl Manifest {
    /// Reads `Cargo.toml` in `directory`.
    ///
    /// # Errors
    ///
    /// [`CorpusError::Read`] or [`CorpusError::Toml`].
    pub fn read(directory: &Path) -> Result<Self, CorpusError> {
        read_toml(&directory.join("Cargo.toml"))
    }

    /// The folder of each workspace member by package name; `self` is the manifest at `root`.
    ///
    /// # Errors
    ///
    /// [`CorpusError::Read`] or [`CorpusError::Toml`] if a member cannot be read.
    pub fn members(&self, root: &Path) -> Result<BTreeMap<String, PathBuf>, CorpusError> {
        let mut folders = BTreeMap::new();
        for member in self
            .workspace
            .iter()
            .flat_map(|workspace| &workspace.members)
        {
            let folder = root.join(member);
            if let Some(package) = Self::read(&folder)?.package {
                folders.insert(package.name, folder);
            }
        }
        Ok(folders)
    }

    /// The normal, non-optional dependencies that every build on Linux has; `workspace` is the
    /// manifest at the root, from which members inherit.
    pub fn required<'a>(&'a self, workspace: &'a Self) -> impl Iterator<Item = Required<'a>> {
        let on_linux = LINUX_TARGETS
            .iter()
            .filter_map(|target| self.target.get(*target))
            .flat_map(|table| &table.dependencies);
        self.dependencies
            .iter()
            .chain(on_linux)
            .filter(|(_, dependency)| !dependency.is_optional())
            .map(|(key, dependency)| workspace.inherited(key, dependency).required(key))
    }

    fn inherited<'a>(&'a self, key: &str, own: &'a Dependency) -> &'a Dependency {
        match (own, &self.workspace) {
            (
                Dependency::Detailed(Details {
                    workspace: true, ..
                }),
                Some(workspace),
            ) => workspace.dependencies.get(key).unwrap_or(own),
            _ => own,
        }
    }
}

impl Dependency {
    fn is_optional(&self) -> bool {
        matches!(self, Self::Detailed(Details { optional: true, .. }))
    }

    fn required<'a>(&'a self, key: &'a str) -> Required<'a> {
        match self {
            Self::Version(version) => Required {
                package: key,
                requirement: Some(version),
            },
            Self::Detailed(details) => Required {
                package: details.package.as_deref().unwrap_or(key),
                requirement: details.version.as_deref(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(manifest: &Manifest, workspace: &Manifest) -> Vec<String> {
        manifest
            .required(workspace)
            .map(|required| required.package.to_owned())
            .collect()
    }

    #[test]
    fn takes_only_what_every_linux_build_has() {
        let manifest: Manifest = toml::from_str(
            r#"
            [dependencies]
            plain = "1"
            [dependencies.renamed]
            package = "real"
            version = "2"
            [dependencies.maybe]
            version = "1"
            optional = true
            [dev-dependencies]
            test = "1"
            [build-dependencies]
            build = "1"
            [target."cfg(unix)".dependencies.on_unix]
            version = "1"
            [target.'cfg(target_os = "linux")'.dependencies]
            on_linux = "1"
            [target."cfg(not(windows))".dependencies.maybe_not_windows]
            version = "1"
            optional = true
            [target."cfg(windows)".dependencies.on_windows]
            version = "1"
            "#,
        )
        .unwrap();
        let expected = ["plain", "real", "on_unix", "on_linux"];
        assert_eq!(names(&manifest, &Manifest::default()), expected);
        let renamed = manifest.required(&manifest).nth(1).unwrap();
        assert_eq!(
            renamed,
            Required {
                package: "real",
                requirement: Some("2")
            }
        );
    }

    #[test]
    fn members_inherit_names_from_the_workspace() {
        let root: Manifest = toml::from_str(
            r#"[workspace.dependencies]
            short = { package = "long-name", version = "1" }"#,
        )
        .unwrap();
        let member: Manifest = toml::from_str(
            r"[dependencies]
            short.workspace = true
            other = { workspace = true, optional = true }",
        )
        .unwrap();
        assert_eq!(names(&member, &root), ["long-name"]);
    }
}
