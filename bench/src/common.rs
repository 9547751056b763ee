//! What all measuring commands share: options, the lines ahead of a measurement, the stored result.

use crate::html::Page;
use crate::machine::Machine;
use crate::measure_error::MeasureError;
use crate::result::{SCHEMA_VERSION, write_json};
use crate::workspace;
use clap::Args;
use serde::Serialize;
use std::env;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// Options that all measuring commands have.
#[derive(Clone, Debug, Args)]
pub struct CommonArguments {
    /// File for the result
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Work folder, on the file system that checkpoints go to; a command removes its files there
    #[arg(long, value_name = "DIR", default_value_os_t = workspace::default_directory())]
    pub dir: PathBuf,
    /// Shorter, smaller and less exact
    #[arg(long)]
    pub quick: bool,
}

/// A result as it is stored: who measured where, then the command's own fields.
#[derive(Serialize)]
struct Stored<'a, T> {
    schema_version: u32,
    command: &'a str,
    arguments: Vec<String>,
    machine: Machine,
    #[serde(flatten)]
    result: &'a T,
}

impl CommonArguments {
    /// The first if it is to be quick, else the second.
    pub fn pick<T>(&self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }

    /// Prints how long a command will take and where it runs.
    ///
    /// # Errors
    ///
    /// [`MeasureError::Print`].
    pub fn preamble(&self, expected: Duration, out: &mut impl Write) -> Result<(), MeasureError> {
        let begun_second = u64::from(expected.subsec_nanos() > 0);
        let seconds = Duration::from_secs(expected.as_secs() + begun_second);
        writeln!(
            out,
            "expected duration: about {}",
            humantime::format_duration(seconds)
        )?;
        writeln!(out, "{}", Machine::read(&self.dir).line())?;
        out.flush()?;
        Ok(())
    }

    /// Writes `page` into the work folder and says where it is.
    pub(crate) fn write_page(&self, page: &Page, out: &mut impl Write) -> Result<(), MeasureError> {
        let path = page.write(&self.dir)?;
        writeln!(out, "\nreport: {}", path.display())?;
        Ok(())
    }

    /// Stores `result` with the facts of the machine, if a file was asked for.
    ///
    /// # Errors
    ///
    /// [`MeasureError::Write`].
    pub fn store(&self, command: &str, result: &impl Serialize) -> Result<(), MeasureError> {
        let Some(path) = &self.json else {
            return Ok(());
        };
        let given = env::args_os().skip(1);
        let arguments = given.map(|argument| argument.to_string_lossy().into_owned());
        let stored = Stored {
            schema_version: SCHEMA_VERSION,
            command,
            arguments: arguments.collect(),
            machine: Machine::read(&self.dir),
            result,
        };
        Ok(write_json(path, &stored)?)
    }
}

#[cfg(test)]
impl CommonArguments {
    /// Quick, with everything in `directory`.
    pub(crate) fn in_folder(directory: &std::path::Path) -> Self {
        Self {
            json: Some(directory.join("result.json")),
            dir: directory.to_path_buf(),
            quick: true,
        }
    }

    /// The stored result.
    pub(crate) fn stored(&self) -> serde_json::Value {
        let text = std::fs::read(self.json.as_ref().unwrap()).unwrap();
        serde_json::from_slice(&text).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_result_has_the_facts_and_the_fields_of_the_command() {
        #[derive(Serialize)]
        struct Found {
            answer: u32,
        }
        let folder = tempfile::tempdir().unwrap();
        let common = CommonArguments::in_folder(folder.path());
        common.store("limits", &Found { answer: 42 }).unwrap();
        let stored = common.stored();
        assert_eq!(stored["answer"], 42);
        assert_eq!(stored["command"], "limits");
        assert!(stored["machine"]["kernel"].is_string());
        let mut out = Vec::new();
        common
            .preamble(Duration::from_millis(61_200), &mut out)
            .unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.starts_with("expected duration: about 1m 2s\n"),
            "{text}"
        );
    }
}
