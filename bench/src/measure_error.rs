//! Why something could not be measured.

use crate::child::ChildError;
use crate::exit::Exit;
use crate::result::WriteError;
use crate::text::units::{Unit, grouped};
use frazil::state::StateError;
use frazil::{Error, IoError};
use std::io;
use std::path::PathBuf;

/// Why something could not be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// The job under measurement failed.
    #[error("the measured job failed: {0}")]
    Job(#[from] Error),
    /// The state under measurement failed.
    #[error("the measured state failed: {0}")]
    State(#[from] StateError),
    /// The disk under measurement failed.
    #[error(transparent)]
    Disk(#[from] IoError),
    /// A file that the measurement needs cannot be used.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The result cannot be stored.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The report cannot be printed.
    #[error("cannot print the report: {0}")]
    Print(#[from] io::Error),
    /// A child process ended without a usable answer.
    #[error("a measuring process ended without a result: {answer:?}")]
    Child {
        /// What it said.
        answer: String,
    },
    /// A measured job made no progress.
    #[error(
        "the measured job stood still: {done} of {expected} records after {seconds} s; \
         is another program taking all cores?"
    )]
    StoodStill {
        /// Records processed.
        done: u64,
        /// Records that it was given.
        expected: u64,
        /// How long it was waited for.
        seconds: u64,
    },
    /// Histograms cannot be encoded.
    #[error("cannot encode a histogram: {reason}")]
    Histogram {
        /// What the encoder said.
        reason: String,
    },
    /// The state under measurement does not fit into memory.
    #[error(
        "needs {needed} of free memory, found {found}; ask for less state",
        needed = Unit::Bytes.text(*needed_bytes),
        found = Unit::Bytes.text(*found_bytes)
    )]
    Memory {
        /// What is needed.
        needed_bytes: u64,
        /// What programs could get.
        found_bytes: u64,
    },
    /// A child process could not be run.
    #[error(transparent)]
    ChildProcess(#[from] ChildError),
    /// A job that was killed did not go on from its checkpoint.
    #[error("the restarted job did not go on from its checkpoint")]
    NotRecovered,
    /// A job that was killed came back with a wrong state.
    #[error("the first record after the restart is wrong: expected {expected:?}, found {found:?}")]
    WrongRecord {
        /// Key and count by the sequence of keys.
        expected: (u64, u64),
        /// What the job said.
        found: (u64, u64),
    },
    /// Another system that is measured beside Frazil failed.
    #[error("{name} failed: {reason}")]
    Baseline {
        /// Its name.
        name: &'static str,
        /// What it said.
        reason: String,
    },
    /// A query gave other rows than its plain implementation.
    #[error(
        "{query} gave {found} rows, other ones than the {expected} of the plain implementation"
    )]
    WrongRows {
        /// The query.
        query: &'static str,
        /// How many rows there should be.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// A file does not hold ratios.
    #[error(
        "{path} holds no ratios: {source}; name files that `ratios`, `overhead` or `demo` wrote"
    )]
    NoRatios {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A percentile was asked for that the samples cannot carry.
    #[error(
        "a window would have about {expected} samples and p99.9 needs {needed}; use --seconds \
         {seconds} or a higher --rate",
        expected = grouped(*expected),
        needed = grouped(*needed)
    )]
    TooFewSamples {
        /// Samples that the window would have.
        expected: u64,
        /// Samples that the percentile needs.
        needed: u64,
        /// How long a window has to be.
        seconds: u64,
    },
    /// Parts of the highest sustained rate were asked for.
    #[error(
        "no rate is sustained, not even a hundredth of the {saturated} that come out when all is \
         due at once; is the machine busy?"
    )]
    NoSustainedRate {
        /// What came out.
        saturated: String,
    },
    /// What checkpoints cost was asked for without any.
    #[error("the options name no checkpoints; call `Options::checkpoints`")]
    NoCheckpoints,
    /// An argument names no mechanism.
    #[error("unknown ablation {found:?}; known are {known}")]
    UnknownAblation {
        /// What was given.
        found: String,
        /// What can be given.
        known: String,
    },
    /// An argument names nothing.
    #[error("unknown ratio {found:?}; expected G1 to G16, separated by commas")]
    UnknownRatio {
        /// What was given.
        found: String,
    },
}

impl MeasureError {
    /// The exit status of a command that ended this way.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::UnknownRatio { .. }
            | Self::UnknownAblation { .. }
            | Self::TooFewSamples { .. }
            | Self::NoCheckpoints
            | Self::NoRatios { .. } => Exit::BadConfiguration,
            Self::NotRecovered | Self::WrongRecord { .. } | Self::WrongRows { .. } => Exit::Corrupt,
            Self::Memory { .. } => Exit::UnfitEnvironment,
            Self::Job(error) => error.into(),
            Self::Disk(error) => error.into(),
            _ => Exit::Failed,
        }
    }

    /// Says what was tried on which file.
    pub fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> MeasureError {
        let path = path.into();
        move |source| MeasureError::File {
            action,
            path,
            source,
        }
    }
}
