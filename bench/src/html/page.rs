//! The page: one file that needs nothing else.

use super::frame::Figure;
use crate::machine::Machine;
use crate::probe::cpus::cpus;
use crate::result::{WriteError, write_text};
use crate::text::units::Unit;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::env;
use std::path::{Path, PathBuf};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
const NAME: &str = "report.html";
/// Nothing is loaded from anywhere, whatever the page says.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// A figure in large type.
#[derive(Clone, Debug)]
pub(super) struct Tile {
    pub(super) label: &'static str,
    pub(super) value: String,
    pub(super) note: String,
}

/// What a command found, to be looked at.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(super) command: &'static str,
    /// What was measured, in a sentence.
    pub(super) lead: String,
    pub(super) tiles: Vec<Tile>,
    /// Why the figures do not count, or not fully.
    pub(super) doubts: Vec<String>,
    pub(super) tables: Vec<Markup>,
    pub(super) figures: Vec<Figure>,
    pub(super) shard_count: usize,
    /// Further facts about how it was run.
    pub(super) facts: Vec<(&'static str, String)>,
}

impl Page {
    /// Writes the page into `directory` and gives its path.
    ///
    /// # Errors
    ///
    /// [`WriteError`] naming the file.
    pub(crate) fn write(&self, directory: &Path) -> Result<PathBuf, WriteError> {
        let path = directory.join(NAME);
        let text = self.markup(&Machine::read(directory)).into_string();
        write_text(&path, text.as_bytes())?;
        Ok(path)
    }

    pub(super) fn markup(&self, machine: &Machine) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    title { "Frazil " (self.command) ", " (machine.time) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    (self.header(machine))
                    main {
                        @for table in &self.tables { (table) }
                        @for figure in &self.figures { (figure.markup()) }
                        (self.setting(machine))
                    }
                    footer { "frazil-bench " (machine.version) }
                    script { (PreEscaped(SCRIPT)) }
                }
            }
        }
    }

    fn header(&self, machine: &Machine) -> Markup {
        html! {
            header {
                p class="kicker" { "Frazil" span { (when(&machine.time)) } }
                h1 { (self.command) }
                p class="lead" { (self.lead) }
                @if !self.doubts.is_empty() {
                    ul class="doubts" { @for doubt in &self.doubts { li { (doubt) } } }
                }
                dl class="tiles" {
                    @for tile in &self.tiles {
                        div {
                            dt { (tile.label) }
                            dd { (tile.value) small { (tile.note) } }
                        }
                    }
                }
            }
        }
    }

    fn setting(&self, machine: &Machine) -> Markup {
        let unknown = || "unknown".to_owned();
        let memory = machine.memory_bytes.map(|bytes| Unit::Bytes.text(bytes));
        let disk = machine.file_system.clone().unwrap_or_else(unknown);
        let disk = if machine.is_tmpfs {
            format!("{disk}: memory, not a disk")
        } else {
            disk
        };
        let facts = [
            (
                "Processor",
                machine.cpu_model.clone().unwrap_or_else(unknown),
            ),
            (
                "Cores",
                machine
                    .core_count
                    .map_or_else(unknown, |count| count.to_string()),
            ),
            ("Memory", memory.unwrap_or_else(unknown)),
            ("Kernel", machine.kernel.clone().unwrap_or_else(unknown)),
            ("Checkpoints on", disk),
            ("Commit", machine.commit.clone().unwrap_or_else(unknown)),
        ];
        html! {
            section id="setting" {
                h2 { "Where and how" }
                div class="facts" {
                    dl {
                        @for (name, value) in facts { dt { (name) } dd { (value) } }
                        @for (name, value) in &self.facts { dt { (name) } dd { (value) } }
                    }
                    table class="layout" {
                        caption { "Threads" }
                        tbody {
                            @for (cpu, threads) in layout(self.shard_count) {
                                tr { th scope="row" { (cpu) } td { (threads) } }
                            }
                        }
                    }
                }
                h3 { "Command" }
                pre { code { (command_line()) } }
            }
        }
    }
}

/// Which threads run on which CPU; helpers sleep when there is nothing to do.
fn layout(shard_count: usize) -> Vec<(String, String)> {
    let helpers = "coordinator, writer, folder, memory (asleep when idle)";
    let cpus = cpus();
    let name = |cpu: &usize| format!("CPU {cpu}");
    let mut rows: Vec<_> = (0..shard_count)
        .map(|shard| {
            let cpu = cpus
                .get(shard % cpus.len().max(1))
                .map_or_else(String::new, name);
            (cpu, format!("shard {shard}, pinned"))
        })
        .collect();
    match cpus.get(shard_count..) {
        Some(rest) if !rest.is_empty() => {
            let rest: Vec<_> = rest.iter().map(usize::to_string).collect();
            rows.push((format!("CPU {}", rest.join(", ")), helpers.to_owned()));
        }
        _ => rows.push(("any CPU".to_owned(), helpers.to_owned())),
    }
    rows
}

fn command_line() -> String {
    let given = env::args_os().skip(1);
    let given = given.map(|argument| quoted(&argument.to_string_lossy()));
    let words: Vec<_> = ["frazil-bench".to_owned()]
        .into_iter()
        .chain(given)
        .collect();
    words.join(" ")
}

/// As people write it.
fn when(time: &str) -> String {
    time.replace('T', " ").replace('Z', " UTC")
}

/// As a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_as_a_shell_takes_them() {
        assert_eq!(quoted("--rate=5"), "--rate=5");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn every_shard_and_the_helpers_have_a_row() {
        let rows = layout(1);
        assert_eq!(rows.len(), 2);
        assert!(rows[0].1.contains("shard 0") && rows[1].1.contains("writer"));
        assert_eq!(layout(cpus().len()).last().unwrap().0, "any CPU");
    }
}
