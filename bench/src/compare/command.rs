//! The command `compare`.

use super::entry::{Entry, Results};
use super::verdict::Change;
use crate::exit::Exit;
use crate::measure_error::MeasureError;
use crate::ratios::short;
use clap::Args;
use std::io::Write;
use std::path::PathBuf;

/// The options of `compare`.
#[derive(Clone, Debug, Args)]
pub struct CompareArguments {
    /// A result of `ratios`, `overhead` or `demo`, written with --json
    #[arg(value_name = "A.json")]
    pub first: PathBuf,
    /// Another one, of the version or machine that is to be judged
    #[arg(value_name = "B.json")]
    pub second: PathBuf,
}

/// Prints both files side by side, with the change and how sure it is.
///
/// # Errors
///
/// [`MeasureError::File`] or [`MeasureError::NoRatios`] for a file that cannot be used. Ratios that
/// became worse are no error but [`Exit::Worse`].
pub fn run(arguments: &CompareArguments, out: &mut impl Write) -> Result<Exit, MeasureError> {
    let first = Results::read(&arguments.first)?;
    let second = Results::read(&arguments.second)?;
    if let (Some(one), Some(other)) = (&first.machine, &second.machine)
        && (&one.cpu_model, one.core_count) != (&other.cpu_model, other.core_count)
    {
        writeln!(
            out,
            "OTHER MACHINE\n  A: {}\n  B: {}",
            one.line(),
            other.line()
        )?;
    }
    writeln!(
        out,
        "{:<13} {:<24} {:<24} B / A, with 95 % confidence",
        "", "A", "B"
    )?;
    let mut counts = [0_u32; 4];
    for one in &first.entries {
        let other = second.entries.iter().find(|other| other.name == one.name);
        let Some(other) = other else {
            writeln!(out, "{:<13} {:<24} only in A", one.name, text(one))?;
            continue;
        };
        let change = Change::between(one, other);
        counts[change.verdict as usize] += 1;
        writeln!(
            out,
            "{:<13} {:<24} {:<24} {:<24} {}",
            one.name,
            text(one),
            text(other),
            describe(&change),
            change.verdict.text()
        )?;
    }
    let is_new = |other: &&Entry| first.entries.iter().all(|one| one.name != other.name);
    for other in second.entries.iter().filter(is_new) {
        writeln!(
            out,
            "{:<13} {:<24} {:<24} only in B",
            other.name,
            "",
            text(other)
        )?;
    }
    let [same, better, worse, unknown] = counts;
    writeln!(
        out,
        "{same} the same, {better} better, {worse} worse, {unknown} without a value on a side"
    )?;
    Ok(if worse > 0 { Exit::Worse } else { Exit::Ok })
}

fn text(entry: &Entry) -> String {
    match (entry.value, entry.spread) {
        (None, _) => "-".to_owned(),
        (Some(value), Some((min, max))) => {
            format!("{} [{}, {}]", short(value), short(min), short(max))
        }
        (Some(value), None) => short(value),
    }
}

fn describe(change: &Change) -> String {
    let Some(factor) = change.factor else {
        return "-".to_owned();
    };
    match change.interval {
        Some((low, high)) => format!("{} [{}, {}]", short(factor), short(low), short(high)),
        None => format!("{} (by spreads)", short(factor)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pairs::PairValue;
    use crate::ratios::Ratio;
    use std::fs;

    #[test]
    fn exit_status_says_whether_something_became_worse() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, ratios: &[Ratio]| {
            let path = folder.path().join(name);
            fs::write(&path, serde_json::to_vec(ratios).unwrap()).unwrap();
            path
        };
        let of = |id: &str, value: f64| Ratio::of_value(id, value, "", String::new());
        let paired = |ratios: [f64; 3]| Ratio {
            pairs: ratios
                .map(|ratio| PairValue {
                    a: ratio,
                    b: 1.0,
                    ratio,
                })
                .to_vec(),
            ..of("G2", ratios[1])
        };
        let first = [
            of("G1", 0.8),
            paired([0.4, 0.41, 0.42]),
            of("G7", 1.2),
            of("G9", 1.1),
        ];
        let second = [
            of("G1", 0.9),
            paired([0.4, 0.42, 0.43]),
            of("G7", 1.3),
            of("G12", 3.0),
        ];
        let (first, second) = (file("a.json", &first), file("b.json", &second));
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
        for part in [
            "BETTER",
            "WORSE",
            "only in A",
            "only in B",
            "1 worse",
            "1.02 [0.95, 1.07]",
        ] {
            assert!(text.contains(part), "{part} is missing in {text}");
        }
        assert_eq!(compare(&first, &first).0, Exit::Ok);
    }
}
