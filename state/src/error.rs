//! What a store can refuse.

use crate::form::TableForm;
use crate::format::FormatError;

/// A store could not do what was asked; its content is as before the call unless a variant says
/// otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The address space for the state could not be reserved.
    #[error("cannot reserve {bytes} bytes of address space for state: {source}")]
    Reserve {
        /// Bytes asked for.
        bytes: usize,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The shard's state budget is used up.
    #[error(
        "state budget exhausted: the shard's {budget_bytes} bytes are in use; raise the budget (a job's \
         state_bytes_per_shard, a store's budget_bytes), use more shards, or expire keys"
    )]
    BudgetExhausted {
        /// The budget.
        budget_bytes: u64,
    },
    /// The budget does not even hold what a store starts with.
    #[error(
        "state budget too small: {budget_bytes} bytes a shard, of which staging takes {staging_bytes}; raise the \
         budget (a job's state_bytes_per_shard, a store's budget_bytes) to at least {needed_bytes}"
    )]
    BudgetTooSmall {
        /// The budget.
        budget_bytes: u64,
        /// The part for captured lines.
        staging_bytes: u64,
        /// The least budget.
        needed_bytes: u64,
    },
    /// A key is longer than any table can hold.
    #[error("key too long for table {table}: {found_bytes} bytes, at most {max_bytes}")]
    KeyTooLong {
        /// Name of the table.
        table: String,
        /// Length of the canonical key bytes.
        found_bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// A value is larger than a table can hold.
    #[error(
        "value too long for table {table}: its archive has {found_bytes} bytes, at most {max_bytes}; \
         split it over several keys"
    )]
    ValueTooLong {
        /// Name of the table.
        table: String,
        /// Length of the archived value.
        found_bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// A value could not be archived.
    #[error("cannot archive a value of table {table}: {reason}")]
    Archive {
        /// Name of the table.
        table: String,
        /// rkyv's reason.
        reason: String,
    },
    /// Stored bytes are no valid key or value of the table's types.
    #[error("table {table} holds bytes that are no valid {what}: {reason}")]
    Invalid {
        /// Name of the table.
        table: String,
        /// `key` or `value`.
        what: &'static str,
        /// What was found.
        reason: String,
    },
    /// A table exists with other types.
    #[error(
        "table {table} was written with another {what} type: expected fingerprint {expected:#018x}, found {found:#018x}; \
         restore with the old type, or give the table a new name"
    )]
    TypeChanged {
        /// Name of the table.
        table: String,
        /// `key` or `value`.
        what: &'static str,
        /// Fingerprint of the type in the program.
        expected: u64,
        /// Fingerprint in the state.
        found: u64,
    },
    /// A table exists in another form.
    #[error(
        "table {table} was created in another form: expected {expected}, found {found}; \
         open it as what it is, or give the new table another name"
    )]
    FormChanged {
        /// Name of the table.
        table: String,
        /// Form that the program asks for.
        expected: TableForm,
        /// Form in the state.
        found: TableForm,
    },
    /// Names and counts of tables are bounded.
    #[error("cannot create table {table}: {reason}")]
    Table {
        /// Name of the table.
        table: String,
        /// Which bound was hit.
        reason: String,
    },
    /// A restored page does not hold what its place requires.
    #[error("damaged state in page={page}: {what}: expected {expected}, found {found}")]
    Damaged {
        /// Page number.
        page: u32,
        /// Field or relation.
        what: &'static str,
        /// What the invariant demands.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// A file's bytes are damaged or not of this format.
    #[error(transparent)]
    Format(#[from] FormatError),
}
