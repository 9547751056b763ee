//! What the tests share: a job that counts words, its reference, and its committed output.

mod committed;
mod word_count;

pub use committed::committed_rows;
pub use word_count::{WordCount, reference_rows, text};
