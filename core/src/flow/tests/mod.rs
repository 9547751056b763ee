//! Whole flows on simulated shards: one thread, any order of turns, tiny rings.

mod alignment;
mod branches;
mod cutter;
mod doubles;
mod expiry;
mod finals;
mod list_state;
mod plan;
mod pressure;
mod recovery;
mod shapes;
mod simulation;
mod stores;
mod timers;
mod walks;
