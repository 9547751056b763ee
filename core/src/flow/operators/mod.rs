//! The verbs of a stream, one a file.

mod aggregate;
mod branches;
mod emission;
mod exchange_tail;
mod filter;
mod flat_map;
mod inspect;
mod key;
mod keyed_input;
mod list_process;
mod map;
mod process;
mod redistribute;
mod second_input;

pub(super) use aggregate::AggregateHead;
pub(super) use emission::{AtEnd, EachUpdate, Never, When};
pub(super) use exchange_tail::{ByKey, Distribution, ExchangeTail};
pub(super) use filter::Filter;
pub(super) use flat_map::FlatMap;
pub(super) use inspect::Inspect;
pub(super) use key::{BorrowedKey, ComputedKey, KeyOf, PairKey};
pub(super) use keyed_input::KeyedInput;
pub(super) use list_process::ListProcessed;
pub(super) use map::Map;
pub(super) use process::ProcessHead;
pub(super) use redistribute::{ExchangeHead, InTurn, ToAll};
pub(super) use second_input::{Connected, SecondInput, Unconnected};
