//! The tail that turns records into rows and cuts them at barriers.
//!
//! Rows are visible only after a commit, so a buffer in hand goes to the checkpoint writer when it
//! is full, when the shard's other sinks wait for one, or when its epoch ends. The second is what
//! keeps a shard with more sinks than buffers from standing still.

use std::marker::PhantomData;

use super::chain::Operator;
use super::error::FlowError;
use super::record::Record;
use crate::in_flight::FlightStep;
use crate::shard::Context;
use crate::sink::SinkWriter;

/// A buffer with this many bytes is full; below the buffers' 64 KiB, so that most last rows fit.
const ROWS_BYTES_FULL: usize = 60 << 10;

pub(super) struct SinkTail<R: ?Sized, W> {
    /// The sink's place in the plan.
    sink: u32,
    name: String,
    writer: W,
    /// Epoch that the next row belongs to.
    epoch: u64,
    /// The buffer in hand, with at least one row unless the writer wrote none.
    rows: Option<Vec<u8>>,
    /// Records written since the latency was last recorded, all of them with `stamp_ns`.
    record_count: u64,
    stamp_ns: u64,
    records: PhantomData<fn(&R)>,
}

impl<R: ?Sized, W> SinkTail<R, W> {
    pub(super) fn new(sink: u32, name: String, writer: W, first_epoch: u64) -> Self {
        Self {
            sink,
            name,
            writer,
            epoch: first_epoch,
            rows: None,
            record_count: 0,
            stamp_ns: 0,
            records: PhantomData,
        }
    }

    fn is_full(&self) -> bool {
        self.rows
            .as_ref()
            .is_some_and(|rows| rows.len() >= ROWS_BYTES_FULL)
    }

    fn send_rows(&mut self, cx: &mut Context<'_>) {
        if let Some(rows) = self.rows.take() {
            cx.rows.send(self.sink, self.epoch, rows);
        }
    }

    fn record_latency(&mut self, cx: &mut Context<'_>) {
        let count = std::mem::take(&mut self.record_count);
        if count > 0 {
            let latency_ns = cx.now_ns.saturating_sub(self.stamp_ns);
            cx.statistics.record_latency(latency_ns, count);
        }
    }
}

impl<R: Record + ?Sized, W: SinkWriter<R>> Operator<R> for SinkTail<R, W> {
    #[inline]
    fn record(&mut self, record: R::Ref<'_>, cx: &mut Context<'_>) {
        if self.stamp_ns != cx.stamp_ns {
            self.record_latency(cx);
            self.stamp_ns = cx.stamp_ns;
        }
        self.record_count += 1;
        let rows = self.rows.get_or_insert_with(|| {
            cx.rows
                .take_buffer()
                .expect("room was asked for before this run of records")
        });
        if let Err(source) = self.writer.write(record, rows) {
            let name = self.name.clone();
            cx.fail(FlowError::Sink { name, source });
        }
        // Within a run a full buffer grows rather than being sent without another to go on in.
        if self.is_full() && cx.rows.has_room() {
            self.send_rows(cx);
        }
    }

    #[inline]
    fn has_room(&self, cx: &Context<'_>) -> bool {
        cx.rows.has_room() || (self.rows.is_some() && !self.is_full())
    }

    fn publish(&mut self, cx: &mut Context<'_>) -> bool {
        self.record_latency(cx);
        if self.is_full() || !cx.rows.has_room() {
            self.send_rows(cx);
        }
        true
    }

    fn barrier(&mut self, epoch: u64, cx: &mut Context<'_>) {
        self.record_latency(cx);
        self.send_rows(cx);
        self.epoch = epoch + 1;
    }

    fn end(&mut self, cx: &mut Context<'_>) {
        self.record_latency(cx);
        self.send_rows(cx);
    }

    fn in_flight(&mut self, step: &mut FlightStep<'_, '_>) -> bool {
        // The barrier has sent the rows.
        let _ = step;
        true
    }
}
