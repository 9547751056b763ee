//! The report as one HTML file: charts as inline SVG, nothing from the network, readable in light
//! and dark, on a phone and on paper.
//!
//! The SVG is our own and the markup maud's, because colours have to come from the style sheet: a
//! plotting library writes them into the picture, which has one scheme then, and one size. Nothing
//! is drawn by script, so that a page can be printed and read with scripts off.
//!
//! | module | one sentence |
//! |---|---|
//! | `of_open_loop`, `of_sweep`, `of_demo`, `of_ratios` | what each command shows |
//! | `page` | the page around it, with machine, threads and command line |
//! | `frame` | axes, labels, legends; every chart is drawn for wide pages and for phones |
//! | `percentiles`, `timeline`, `phases`, `waterfall`, `sizes` | charts of a measurement |
//! | `progress_chart`, `ratio_table` | the main job through its kill; the ratios |
//! | `scale`, `words` | places, round values, numbers with units |

#[cfg(test)]
mod browser_tests;
mod frame;
mod of_demo;
mod of_open_loop;
mod of_ratios;
mod of_sweep;
mod page;
#[cfg(test)]
mod page_tests;
mod percentiles;
mod phases;
mod progress_chart;
mod ratio_table;
mod scale;
mod sizes;
mod timeline;
mod waterfall;
mod words;

pub(crate) use of_demo::of_demo;
pub(crate) use of_open_loop::{of_latency, of_overhead};
pub(crate) use of_ratios::of_ratios;
pub(crate) use of_sweep::{of_latency_sweep, of_overhead_sweep};
pub(crate) use page::Page;
