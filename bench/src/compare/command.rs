//! The command `compare`.

use super::verdict::Verdict;
use crate::exit::Exit;
use crate::measure_error::MeasureError;
use crate::ratios::{Ratio, short};
use clap::Args;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The options of `compare`.
#[derive(Clone, Debug, Args)]
pub struct CompareArguments {
    /// A file that `ratios --json` wrote
    #[arg(value_name = "A.json")]
    pub first: PathBuf,
    /// Another one, of the version or machine that is to be judged
    #[arg(value_name = "B.json")]
    pub second: PathBuf,
}

/// Prints both files side by side, and where their spreads lie apart.
///
/// # Errors
///
/// [`MeasureError::File`] or [`MeasureError::NoRatios`] for a file that cannot be used. Ratios that
/// became worse are no error but [`Exit::Worse`].
pub fn run(arguments: &CompareArguments, out: &mut impl Write) -> Result<Exit, MeasureError> {
    let first = read(&arguments.first)?;
    let second = read(&arguments.second)?;
    writeln!(out, "{:<4} {:<28} {:<28} B / A", "", "A", "B")?;
    let mut counts = [0_u32; 4];
    for one in &first {
        let Some(other) = second.iter().find(|other| other.id == one.id) else {
            writeln!(out, "{:<4} {:<28} only in A", one.id, text(one))?;
            continue;
        };
        let verdict = Verdict::of(one, other);
        counts[verdict as usize] += 1;
        let factor = match (one.value, other.value) {
            (Some(a), Some(b)) if a != 0.0 => short(b / a),
            _ => "-".to_owned(),
        };
        writeln!(
            out,
            "{:<4} {:<28} {:<28} {factor:<8} {}",
            one.id,
            text(one),
            text(other),
            verdict.text()
        )?;
    }
    let is_new = |other: &&Ratio| first.iter().all(|one| one.id != other.id);
    for other in second.iter().filter(is_new) {
        writeln!(
            out,
            "{:<4} {:<28} {:<28} only in B",
            other.id,
            "",
            text(other)
        )?;
    }
    let [same, better, worse, unknown] = counts;
    writeln!(
        out,
        "{same} the same within their spreads, {better} better, {worse} worse, {unknown} without a \
         value on a side"
    )?;
    Ok(if worse > 0 { Exit::Worse } else { Exit::Ok })
}

fn read(path: &Path) -> Result<Vec<Ratio>, MeasureError> {
    let text = fs::read(path).map_err(MeasureError::file("read", path))?;
    serde_json::from_slice(&text).map_err(|source| MeasureError::NoRatios {
        path: path.to_path_buf(),
        source,
    })
}

fn text(ratio: &Ratio) -> String {
    match (ratio.value, ratio.min, ratio.max) {
        (None, ..) => "-".to_owned(),
        (Some(value), Some(min), Some(max)) => {
            format!("{} [{}, {}]", short(value), short(min), short(max))
        }
        (Some(value), ..) => short(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_status_says_whether_something_became_worse() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, ratios: &[Ratio]| {
            let path = folder.path().join(name);
            fs::write(&path, serde_json::to_vec(ratios).unwrap()).unwrap();
            path
        };
        let of = |id: &str, value: f64| Ratio::of_value(id, value, "", String::new());
        let first = file("a.json", &[of("G1", 0.8), of("G7", 1.2), of("G9", 1.1)]);
        let second = file("b.json", &[of("G1", 0.9), of("G7", 1.3), of("G12", 3.0)]);
        let compare = |first: &PathBuf, second: &PathBuf| {
            let mut out = Vec::new();
            let arguments = CompareArguments {
                first: first.clone(),
                second: second.clone(),
            };
            let exit = run(&arguments, &mut out).unwrap();
            (exit, String::from_utf8(out).unwrap())
        };
        let (exit, text) = compare(&first, &second);
        assert_eq!(exit, Exit::Worse);
        for part in ["BETTER", "WORSE", "only in A", "only in B", "1 worse"] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        assert_eq!(compare(&first, &first).0, Exit::Ok);
        let other = folder.path().join("other.json");
        fs::write(&other, "{}").unwrap();
        assert!(matches!(read(&other), Err(MeasureError::NoRatios { .. })));
    }
}
