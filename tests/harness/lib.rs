//! What the tests share: jobs, their references, their committed output, and a disk that fails on
//! plan.

mod committed;
mod faults;
mod gated;
mod joined_words;
mod keyed_states;
mod manifests;
mod mortal_storage;
mod random_flow;
mod small_job;
mod steps;
mod timed_words;
mod two_exchanges;
mod verified;
mod walked_words;
mod watched;
mod word_count;

pub use committed::{assert_nothing_early, committed_rows};
pub use faults::{Faults, FragileFiles, FragileNumbers, Place};
pub use gated::{Gate, GatedText};
pub use joined_words::JoinedWords;
pub use keyed_states::KeyedStates;
pub use manifests::manifests;
pub use mortal_storage::MortalStorage;
pub use random_flow::{Link, RandomFlow};
pub use steps::{Step, run_through};
pub use timed_words::TimedWords;
pub use two_exchanges::TwoExchanges;
pub use verified::{VerifiedStorage, dump};
pub use walked_words::{WalkedWords, check_walks};
pub use watched::{OnAppend, OnRead, WatchedStorage};
pub use word_count::{WordCount, input_file, reference_rows, text};
