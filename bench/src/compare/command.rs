//! The command `compare`.

use super::entry::{Entry, Results};
use super::verdict::Change;
use crate::exit::Exit;
use crate::measure_error::MeasureError;
use crate::ratios::short;
use crate::result::{SCHEMA_VERSION, write_json};
use clap::Args;
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The options of `compare`.
#[derive(Clone, Debug, Args)]
pub struct CompareArguments {
    /// A result of `ratios`, `overhead` or `demo`, written with --json
    #[arg(value_name = "A.json")]
    pub first: PathBuf,
    /// Another one, of the version or machine that is to be judged
    #[arg(value_name = "B.json")]
    pub second: PathBuf,
    /// File for the comparison
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

#[derive(Serialize)]
struct Stored<'a> {
    schema_version: u32,
    command: &'static str,
    first: &'a Path,
    second: &'a Path,
    rows: &'a [Row],
}

/// A ratio of both files, or of one of them.
#[derive(Serialize)]
struct Row {
    name: String,
    a: Option<Entry>,
    b: Option<Entry>,
    change: Option<Change>,
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
        "{:<21} {:<24} {:<24} B / A, with 95 % confidence",
        "", "A", "B"
    )?;
    let rows = rows(first.entries, second.entries);
    let mut counts = [0_u32; 4];
    for row in &rows {
        row.print(out)?;
        if let Some(change) = &row.change {
            counts[change.verdict as usize] += 1;
        }
    }
    let [same, better, worse, unknown] = counts;
    writeln!(
        out,
        "{same} the same, {better} better, {worse} worse, {unknown} without a value on a side"
    )?;
    if let Some(path) = &arguments.json {
        let stored = Stored {
            schema_version: SCHEMA_VERSION,
            command: "compare",
            first: &arguments.first,
            second: &arguments.second,
            rows: &rows,
        };
        write_json(path, &stored)?;
    }
    Ok(if worse > 0 { Exit::Worse } else { Exit::Ok })
}

/// Those of the first file in its order, then those that only the second has.
fn rows(first: Vec<Entry>, mut second: Vec<Entry>) -> Vec<Row> {
    let mut rows = Vec::new();
    for a in first {
        let at = second.iter().position(|b| b.name == a.name);
        let b = at.map(|at| second.remove(at));
        rows.push(Row {
            name: a.name.clone(),
            change: b.as_ref().map(|b| Change::between(&a, b)),
            a: Some(a),
            b,
        });
    }
    rows.extend(second.into_iter().map(|b| Row {
        name: b.name.clone(),
        a: None,
        b: Some(b),
        change: None,
    }));
    rows
}

impl Row {
    fn print(&self, out: &mut impl Write) -> Result<(), MeasureError> {
        let side = |entry: &Option<Entry>| entry.as_ref().map_or_else(String::new, text);
        let end = match (&self.change, &self.a) {
            (Some(change), _) => format!("{:<24} {}", describe(change), change.verdict.text()),
            (None, Some(_)) => "only in A".to_owned(),
            (None, None) => "only in B".to_owned(),
        };
        writeln!(
            out,
            "{:<21} {:<24} {:<24} {end}",
            self.name,
            side(&self.a),
            side(&self.b)
        )?;
        Ok(())
    }
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
                json: Some(folder.path().join("compared.json")),
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
        let text = fs::read(folder.path().join("compared.json")).unwrap();
        let stored: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let row = &stored["rows"][2];
        assert_eq!(
            (&row["name"], &row["change"]["verdict"]),
            (&"G7".into(), &"worse".into())
        );
        assert_eq!(
            (&row["a"]["value"], &row["b"]["value"]),
            (&1.2.into(), &1.3.into())
        );
        assert!(stored["rows"][4]["a"].is_null());
        assert_eq!(compare(&first, &first).0, Exit::Ok);
    }
}
