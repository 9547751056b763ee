//! The parts of `frazil-bench`: real input, an independent reference, a supervised
//! child, and honest output.
//!
//! In reading order:
//!
//! | module | one sentence |
//! |---|---|
//! | [`cli`] | the command line |
//! | [`exit`] | what the exit status says |
//! | [`workspace`] | where this program was built, and where its results go |
//! | [`corpus`] | which files are the input |
//! | [`identifiers`] | what is counted |
//! | [`mod@reference`] | the independent count, and the comparison with committed rows |
//! | [`committed_rows`] | reading the rows that a sink committed |
//! | [`child`] | a child process that talks in lines and can be killed at a chosen moment |
//! | [`demo`] | the main job |
//! | [`progress`] | the progress line |
//! | [`text`] | units, percentiles, bars |
//! | [`machine`] | facts about the machine |
//! | [`result`] | the JSON result |

pub mod child;
pub mod cli;
pub mod committed_rows;
pub mod corpus;
pub mod demo;
pub mod exit;
pub mod identifiers;
pub mod machine;
pub mod progress;
pub mod reference;
pub mod result;
pub mod text;
pub mod workspace;
