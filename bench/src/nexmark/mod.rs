//! NEXMark: an auction house's people, auctions and bids, and the queries on them that need no
//! windows; each is checked against a plain implementation before it is measured.

mod command;
mod event;
mod job;
mod output;
mod plain;
mod query;
mod source;

pub use command::{NexmarkArguments, run};
pub use query::Query;
