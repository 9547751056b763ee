//! Rules that the compiler does not hold: which crate may name what, where `unsafe` may stand, and
//! the form of the files. Simple text checks over code without its comments.

use std::fs;
use std::path::{Path, PathBuf};

const CRATES: [&str; 5] = ["state", "io", "core", "bench", "tests"];

/// The only files with `unsafe` in them, each with its reason at its top.
const UNSAFE_FILES: [&str; 4] = [
    "io/src/runtime/preflight.rs",
    "io/src/storage/mapped_segment.rs",
    "io/src/storage/private_map.rs",
    "state/src/mapped.rs",
];

const FILE_LINES_MAX: usize = 600;
const COLUMNS_MAX: usize = 100;

/// Files with longer lines inside macros, which rustfmt does not lay out.
const LONG_MACRO_FILES: [&str; 2] = ["state/src/key.rs", "state/src/model_tests.rs"];

struct SourceFile {
    /// Below the workspace, with `/`.
    path: String,
    text: String,
}

impl SourceFile {
    /// Lines in front of the file's own tests, numbered from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self
            .text
            .lines()
            .zip(1..)
            .map(|(line, number)| (number, line));
        lines.take_while(|(_, line)| *line != "#[cfg(test)]")
    }

    /// The same without comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines().map(|(number, line)| {
            let is_comment = line.trim_start().starts_with("//");
            let code = line.split(" // ").next().unwrap_or(line);
            (number, if is_comment { "" } else { code })
        })
    }

    fn is_test(&self) -> bool {
        self.path.contains("/tests/")
            || self.path.starts_with("tests/")
            || self.path.ends_with("_tests.rs")
    }

    fn is_in(&self, folders: &[&str]) -> bool {
        folders
            .iter()
            .any(|folder| self.path.starts_with(&format!("{folder}/")))
    }
}

fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("a member of a workspace").to_owned()
}

fn source_files() -> Vec<SourceFile> {
    let mut found = Vec::new();
    for name in CRATES {
        collect(&workspace().join(name), &mut found);
    }
    assert!(found.len() > 100, "the sources were not found");
    found
}

fn collect(folder: &Path, found: &mut Vec<SourceFile>) {
    for entry in fs::read_dir(folder).expect("a source folder lists") {
        let path = entry.expect("a source folder lists").path();
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(workspace()).expect("below it");
            found.push(SourceFile {
                path: name.to_str().expect("ASCII names").to_owned(),
                text: fs::read_to_string(&path).expect("a source file reads"),
            });
        }
    }
}

/// Whether `word` stands in `code` as a whole identifier or path.
fn names(code: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// Asserts that nothing was found, naming all of it.
fn assert_none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
}

/// Places where code in `folder` names one of `words`.
fn places_naming(files: &[SourceFile], folder: &str, words: &[&str]) -> Vec<String> {
    let files = files.iter().filter(|file| file.is_in(&[folder]));
    let mut places = Vec::new();
    for file in files {
        for (number, code) in file.code() {
            for word in words.iter().filter(|word| names(code, word)) {
                places.push(format!("{}:{number}: {word}", file.path));
            }
        }
    }
    places
}

#[test]
fn each_crate_names_only_what_it_may_know() {
    let files = source_files();
    let rules: [(&str, &[&str]); 4] = [
        (
            "state/src",
            &["frazil_io", "glommio", "std::fs", "std::thread", "Instant"],
        ),
        (
            "io/src",
            &["frazil_state", "epoch", "Epoch", "PageId", "page_id"],
        ),
        ("core/src", &["glommio", "memmap2", "io_uring"]),
        ("bench/src", &["frazil_state", "frazil_io", "frazil_tests"]),
    ];
    for (folder, words) in rules {
        let places = places_naming(&files, folder, words);
        assert_none(&format!("{folder} must not name these"), &places);
    }
    for folder in ["state", "core", "bench"] {
        let places = places_naming(&files, folder, &["glommio"]);
        assert_none("glommio is named in io only", &places);
    }
}

#[test]
fn each_crate_depends_only_on_what_it_may_know() {
    let rules: [(&str, &[&str]); 4] = [
        (
            "state",
            &[
                "frazil",
                "frazil-io",
                "frazil-tests",
                "glommio",
                "libc",
                "rustix",
            ],
        ),
        ("io", &["frazil", "frazil-state", "frazil-tests"]),
        (
            "core",
            &["frazil-tests", "glommio", "memmap2", "rustix", "libc"],
        ),
        (
            "bench",
            &[
                "frazil-state",
                "frazil-io",
                "frazil-tests",
                "glommio",
                "memmap2",
            ],
        ),
    ];
    for (folder, forbidden) in rules {
        let path = workspace().join(folder).join("Cargo.toml");
        let text = fs::read_to_string(path).expect("a manifest reads");
        let manifest: toml::Table = text.parse().expect("a manifest parses");
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let dependencies = manifest.get(section).and_then(toml::Value::as_table);
            let found: Vec<String> = dependencies
                .into_iter()
                .flat_map(toml::Table::keys)
                .filter(|name| forbidden.contains(&name.as_str()))
                .cloned()
                .collect();
            assert_none(&format!("{folder} must not have these {section}"), &found);
        }
    }
}

#[test]
fn unsafe_stands_only_in_the_named_files() {
    let files = source_files();
    let mut found: Vec<&str> = Vec::new();
    for file in &files {
        // The lint's own name is one word and does not count.
        if file
            .text
            .lines()
            // Nor does a word of the policies that web pages have.
            .map(|line| line.replace("'unsafe-inline'", ""))
            .any(|line| names(&line, "unsafe") && !line.trim().starts_with("//"))
        {
            found.push(&file.path);
        }
    }
    found.retain(|path| *path != "tests/tidy.rs");
    found.sort_unstable();
    assert_eq!(found, UNSAFE_FILES);
    for path in UNSAFE_FILES {
        let file = files.iter().find(|file| file.path == path);
        let text = &file.expect("listed above").text;
        let allowed = text.matches("unsafe_code,").count();
        assert!(allowed > 0, "{path} says why it has unsafe code");
    }
}

#[test]
fn files_and_lines_are_short_and_plain() {
    let mut found = Vec::new();
    for file in source_files() {
        let line_count = file.lines().count();
        if line_count > FILE_LINES_MAX {
            found.push(format!("{}: {line_count} lines without tests", file.path));
        }
        for (line, number) in file.text.lines().zip(1..) {
            let columns = line.chars().count();
            // A text that is cut in two is harder to find than a long line is to read.
            let has_text = line.trim_start().starts_with('"');
            let is_macro = LONG_MACRO_FILES.contains(&file.path.as_str());
            if columns > COLUMNS_MAX && !has_text && !is_macro {
                found.push(format!("{}:{number}: {columns} columns", file.path));
            }
            if !line.is_ascii() {
                found.push(format!("{}:{number}: not ASCII", file.path));
            }
        }
    }
    assert_none("files are at most 600 lines of 100 ASCII columns", &found);
}

#[test]
fn libraries_never_print_or_exit_and_leave_nothing_undone() {
    // `eprintln!` ends in `println!`.
    const WORDS: [&str; 6] = [
        "todo!",
        "unimplemented!",
        "dbg!",
        "println!",
        "print!",
        "process::exit",
    ];
    let mut found = Vec::new();
    for file in source_files() {
        let is_library = file.is_in(&["state/src", "io/src", "core/src"]);
        if !is_library || file.is_test() {
            continue;
        }
        for (number, code) in file.code() {
            for word in WORDS.iter().filter(|word| code.contains(*word)) {
                found.push(format!("{}:{number}: {word}", file.path));
            }
        }
    }
    assert_none("libraries must not have these", &found);
}

#[test]
fn tables_of_contents_have_no_functions() {
    let mut found = Vec::new();
    for file in source_files() {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        if !["mod.rs", "lib.rs"].contains(&name) || file.is_test() {
            continue;
        }
        let functions = file
            .code()
            .filter(|(_, code)| names(code, "fn") && code.contains('('));
        found.extend(functions.map(|(number, _)| format!("{}:{number}", file.path)));
    }
    // Traits are declared where their implementations are listed.
    found.retain(|place| !place.starts_with("io/src/storage/mod.rs:"));
    assert_none("mod.rs and lib.rs hold no functions", &found);
}
