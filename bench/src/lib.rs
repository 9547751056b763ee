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
//! | `html` | the report as one HTML file |
//! | [`identifiers`] | what is counted |
//! | [`mod@reference`] | the independent count, and the comparison with committed rows |
//! | [`committed_rows`] | reading the rows that a sink committed |
//! | [`job`] | the job that is run and measured |
//! | [`child`] | a child process that talks in lines and can be killed at a chosen moment |
//! | [`demo`] | the main job with its kill, in two processes |
//! | [`overhead`] | what checkpoints cost |
//! | [`barriers`] | options for what the barriers of checkpoints wait for |
//! | [`common`] | options and files that the measuring commands share |
//! | [`costs`] | the engine's histograms of what checkpoints cost |
//! | [`interrupt`] | what Ctrl-C takes away |
//! | [`scratch`] | a folder for the files of one measurement |
//! | [`work_folder`] | the folders of one run |
//! | [`progress`] | the progress line |
//! | [`text`] | units, percentiles, bars |
//! | [`machine`] | facts about the machine |
//! | [`result`] | the JSON result |
//! | [`probe`] | CPU time, faults, memory and hiccups of this process and machine |
//! | [`doctor`] | whether this machine is fit, and what mends it |
//! | `live` | a running measurement on the screen |
//! | [`limits`] | the floor of this machine |
//! | [`idle`] | what a job takes that has nothing to do |
//! | [`pairs`] | two sides measured in turn |
//! | [`workload`] | keys, a source that can be held back, a job that counts |
//! | [`state_bench`] | the state tables alone |
//! | [`ratios`] | what Frazil costs by what the machine can do |
//! | [`ablate`] | what each mechanism of the design is worth |
//! | [`nexmark`] | NEXMark queries, checked and measured |
//! | [`baselines`] | the same count with other systems |
//! | [`compare`] | two result files side by side |
//! | [`open_loop`] | latency at a fixed rate, also of a user's own flow: [`run`] |
//! | [`checkpoint`] | what one checkpoint is made of |
//! | [`recovery`] | from a kill to the first correct record |
//! | [`throughput`] | the highest rate that is sustained |
//! | `sweep` | latency at parts of it |
//! | [`files`] | `.hgrm` and `.hlog` |
//! | [`measure_error`] | why something could not be measured |

pub mod ablate;
pub mod barriers;
pub mod baselines;
pub mod checkpoint;
pub mod child;
pub mod cli;
pub mod committed_rows;
pub mod common;
pub mod compare;
pub mod corpus;
pub mod costs;
pub mod demo;
pub mod doctor;
pub mod exit;
pub mod files;
mod html;
pub mod identifiers;
pub mod idle;
pub mod interrupt;
pub mod job;
pub mod limits;
mod live;
pub mod machine;
pub mod measure_error;
pub mod nexmark;
pub mod open_loop;
pub mod overhead;
pub mod pairs;
pub mod probe;
pub mod progress;
pub mod ratios;
pub mod recovery;
pub mod reference;
pub mod result;
pub mod scratch;
pub mod state_bench;
mod sweep;
pub mod text;
pub mod throughput;
pub mod work_folder;
pub mod workload;
pub mod workspace;

pub use open_loop::{OpenLoop, Options, Overhead, Report, run, run_overhead};
pub use pairs::PairPlan;
