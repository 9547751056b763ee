//! Where records come from: the contract of sources, and the sources that Frazil brings along.
//!
//! | file | says |
//! |---|---|
//! | `contract` | what a source promises so that no record is lost and none comes twice |
//! | `error` | what can go wrong with a source |
//! | `splits` | how many pieces a source is cut into, and the bytes of positions |
//! | `text_files` | the lines of files |
//! | `iter` | records that an iterator makes |
//! | `push` | records that the application's threads push |

mod contract;
mod error;
mod iter;
pub mod push;
mod splits;
mod text_files;

pub use contract::{ReadStatus, Source, SourcePlan, Split, SplitReader};
pub use error::SourceError;
pub use iter::{Iter, IterReader};
pub use text_files::{TextFiles, TextFilesReader};
