//! The running measurement on a screen: rates, latency, load of the shards, checkpoints.

mod lines;
mod screen;
mod view;
mod watch;

pub(crate) use screen::give_back;
pub(crate) use watch::watcher;
