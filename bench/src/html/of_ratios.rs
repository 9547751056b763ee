//! The page of `ratios`.

use super::of_open_loop::overhead_figures;
use super::page::{Page, Tile};
use super::ratio_table::{Standing, table};
use crate::open_loop::Overhead;
use crate::ratios::{Ratio, what};

/// All ratios, and the charts of those whose latencies were `kept`, by id.
pub(crate) fn of_ratios(ratios: &[Ratio], kept: &[(String, Overhead)]) -> Page {
    let count = |standing| {
        ratios
            .iter()
            .filter(|ratio| Standing::of(ratio) == standing)
            .count()
    };
    let tile = |label, standing, note: &str| Tile {
        label,
        value: count(standing).to_string(),
        note: note.to_owned(),
    };
    let mut figures = Vec::new();
    for (id, overhead) in kept {
        for figure in overhead_figures(overhead) {
            let mut figure = figure.among(&id.to_lowercase(), id);
            figure.note = format!("{}. {}", what(id), figure.note);
            figures.push(figure);
        }
    }
    Page {
        command: "ratios",
        lead: "What Frazil costs by what this machine itself can do.".to_owned(),
        tiles: vec![
            tile("reach the goal", Standing::Goal, "of the design"),
            tile("hold the floor", Standing::Floor, "and miss the goal"),
            tile("miss the floor", Standing::Missed, ""),
            tile("without a value", Standing::Unknown, "the table says why"),
        ],
        doubts: Vec::new(),
        tables: vec![table(ratios)],
        figures,
        shard_count: 1,
        facts: Vec::new(),
    }
}
