//! What sinks keep to.

mod channel;
mod csv_files;
