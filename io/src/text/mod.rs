//! Replayable lines of text: a sorted list of files, cut into ranges, read ahead by a thread.
//!
//! The files of a [`TextInput`], one behind the other, are one space of bytes. A [`TextRange`] of
//! it owns the lines that *begin* in it, so a space can be cut at any byte and still every line has
//! exactly one owner. A [`LineReader`] gives a range's lines, over and over for a number of rounds,
//! and says at any time from which [`TextPosition`] the rest can be read again.
//!
//! A line ends at `\n`, at `\r\n` or at the end of its file, and is as long as it is. Bytes that
//! are not UTF-8 become U+FFFD, each maximal wrong sequence one; valid text pays nothing for that
//! but the check itself.
//!
//! | file | says |
//! |---|---|
//! | `input` | which files, how long, cut how |
//! | `fingerprint` | what of the input is remembered to notice a change |
//! | `scan` | where lines begin and end in the files; all reading |
//! | `block` | a run of whole lines in memory, and the way through it |
//! | `read_ahead` | the thread that fills blocks before they are asked for |
//! | `reader` | the lines of one range, without system calls |

mod block;
mod error;
mod fingerprint;
mod input;
mod read_ahead;
mod reader;
mod scan;

pub use error::TextError;
pub use input::{TextFile, TextInput, TextPosition, TextRange};
pub use reader::{Line, LineReader};
