//! Code for records without a key that remembers something from one record to the next.

use super::function::ProcessResult;
use crate::flow::out::Out;
use crate::flow::record::Record;
use frazil_state::Value;

/// Code for records of type `R` that keeps a list of elements over crashes, one list a shard; run
/// by [`Stream::process_list`](crate::Stream::process_list).
///
/// While records flow the function keeps its state as it likes. At each barrier it is asked for the
/// state as a list of elements, which become part of the checkpoint; a restored function gets them
/// back. Keep the list short: it is written whole at each barrier. State that grows with the input
/// belongs to keys, see [`Process`](crate::Process).
///
/// ```
/// use frazil::state::ListRedistribution;
/// use frazil::{Flow, ListProcess, Out, ProcessResult, Sink, Source};
///
/// /// Joins lines to groups of three.
/// #[derive(Default)]
/// struct Groups(Vec<String>);
///
/// impl ListProcess<str> for Groups {
///     type Element = String;
///     type Out = String;
///
///     fn restore(&mut self, lines: Vec<String>) {
///         self.0 = lines;
///     }
///
///     fn record(&mut self, line: &str, out: &mut Out<String>) -> ProcessResult {
///         self.0.push(line.to_owned());
///         if self.0.len() >= 3 {
///             self.end(out)?;
///         }
///         Ok(())
///     }
///
///     fn end(&mut self, out: &mut Out<String>) -> ProcessResult {
///         if !self.0.is_empty() {
///             out.push_owned(self.0.join(" "));
///             self.0.clear();
///         }
///         Ok(())
///     }
///
///     fn snapshot(&mut self, lines: &mut Vec<String>) {
///         lines.clone_from(&self.0);
///     }
/// }
///
/// fn build(flow: &Flow, lines: impl Source<Record = str>, groups: impl Sink<String>) {
///     flow.source(lines)
///         .process_list("group", ListRedistribution::Split, Groups::default())
///         .sink(groups);
/// }
/// ```
pub trait ListProcess<R: Record + ?Sized>: 'static {
    /// What the state is made of.
    type Element: Value;
    /// What it emits.
    type Out: Record + ?Sized;

    /// Called once, before the first record: the elements of the restored checkpoint, none if the
    /// job starts afresh. If the number of shards has changed they are another shard's or those of
    /// all shards, as the state's redistribution says.
    fn restore(&mut self, elements: Vec<Self::Element>);

    /// Takes one record.
    ///
    /// # Errors
    /// Whatever should end the job.
    fn record(&mut self, record: R::Ref<'_>, out: &mut Out<Self::Out>) -> ProcessResult;

    /// Called when the shard's part of the input has ended, before the state is asked for the last
    /// time. It is called again if that state is restored.
    ///
    /// # Errors
    /// Whatever should end the job.
    fn end(&mut self, out: &mut Out<Self::Out>) -> ProcessResult {
        let _ = out;
        Ok(())
    }

    /// Puts the state as of now into `elements`, which is empty.
    fn snapshot(&mut self, elements: &mut Vec<Self::Element>);
}
