//! Staged, final and retracted names, and back.

/// Hidden, so that a reader of the folder passes unfinished files over.
const STAGED_PREFIX: &str = ".staged-";

const RETRACTED_FOLDER: &str = ".retracted";

/// How the files of one sink are called: `part-0000000007.csv` for generation 7.
///
/// Sinks with different prefixes can share a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedNames {
    prefix: String,
    extension: String,
}

impl StagedNames {
    /// Names made of `prefix`, ten digits (so that names sort as generations do), a dot and
    /// `extension`.
    ///
    /// # Panics
    /// If a part holds a `/`, or the extension is empty.
    #[must_use]
    pub fn new(prefix: &str, extension: &str) -> Self {
        let is_plain = |part: &str| !part.contains('/');
        assert!(
            is_plain(prefix) && is_plain(extension) && !extension.is_empty(),
            "file names of the form {prefix:?}0000000001.{extension:?} lead out of their folder"
        );
        Self {
            prefix: prefix.to_owned(),
            extension: extension.to_owned(),
        }
    }

    pub(super) fn final_name(&self, generation: u64) -> String {
        format!("{}{generation:010}.{}", self.prefix, self.extension)
    }

    /// `serial` tells the files apart that one generation may need.
    pub(super) fn staged_name(&self, generation: u64, serial: u64) -> String {
        let prefix = &self.prefix;
        format!("{STAGED_PREFIX}{prefix}{generation:010}.{serial}")
    }

    /// Where a final file goes when its rows will be made again; the first such name not in
    /// `taken`.
    pub(super) fn retracted_name(final_name: &str, taken: &[String]) -> String {
        let plain = format!("{RETRACTED_FOLDER}/{final_name}");
        let numbered = (1_u64..).map(|number| format!("{plain}.{number}"));
        std::iter::once(plain.clone())
            .chain(numbered)
            .find(|name| !taken.contains(name))
            .expect("there are more numbers than files")
    }

    /// The generation of a final name of this sink.
    pub(super) fn final_generation(&self, name: &str) -> Option<u64> {
        let numbered = name.strip_prefix(&self.prefix)?;
        let digits = numbered.strip_suffix(&self.extension)?.strip_suffix('.')?;
        let generation = number(digits)?;
        (digits.len() >= 10).then_some(generation)
    }

    /// True for staged names of this sink.
    pub(super) fn is_staged(&self, name: &str) -> bool {
        let numbered = name
            .strip_prefix(STAGED_PREFIX)
            .and_then(|name| name.strip_prefix(&self.prefix));
        numbered
            .and_then(|name| name.split_once('.'))
            .is_some_and(|(generation, serial)| {
                number(generation).is_some() && number(serial).is_some()
            })
    }
}

/// Digits only: `parse` alone would take a sign.
fn number(digits: &str) -> Option<u64> {
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_generation() {
        let names = StagedNames::new("part-", "csv");
        assert_eq!(names.final_name(7), "part-0000000007.csv");
        for generation in [0, 7, 12_345_678_901] {
            let name = names.final_name(generation);
            assert_eq!(names.final_generation(&name), Some(generation));
            assert!(names.is_staged(&names.staged_name(generation, 2)));
        }
    }

    #[test]
    fn names_of_others_are_not_ours() {
        let names = StagedNames::new("part-", "csv");
        for name in [
            "part-7.csv",
            "part-+000000007.csv",
            "part-0000000007.txt",
            "notes.csv",
        ] {
            assert_eq!(names.final_generation(name), None, "{name}");
        }
        let other = StagedNames::new("part-errors-", "csv");
        assert!(!names.is_staged(&other.staged_name(7, 0)));
        assert_eq!(names.final_generation(&other.final_name(7)), None);
        assert!(!names.is_staged(".retracted/part-0000000007.csv"));
    }

    #[test]
    fn a_retracted_file_never_replaces_another() {
        let mut taken = Vec::new();
        for expected in [".retracted/a", ".retracted/a.1", ".retracted/a.2"] {
            let name = StagedNames::retracted_name("a", &taken);
            assert_eq!(name, expected);
            taken.push(name);
        }
    }
}
