//! Who gets the records of a channel sink, when, and how often.

use std::sync::mpsc::Receiver;

use crate::flow::Keyed;
use crate::sink::{ChannelSink, ChannelWriter, Committer, Restored, Sink, SinkError, SinkWriter};

type Counts = (ChannelSink<(String, u64)>, Receiver<(String, u64)>);

fn pairs(receiver: &Receiver<(String, u64)>) -> Vec<u64> {
    receiver.try_iter().map(|(_, count)| count).collect()
}

/// A job's two ends of the sink.
fn start(sink: &ChannelSink<(String, u64)>) -> (Box<dyn Committer>, ChannelWriter<(String, u64)>) {
    let committer = Sink::<Keyed<str, u64>>::committer(sink).unwrap();
    let writer = Sink::<Keyed<str, u64>>::writer(sink).unwrap();
    (committer, writer)
}

fn row(writer: &mut ChannelWriter<(String, u64)>, count: u64) -> Vec<u8> {
    let mut rows = Vec::new();
    SinkWriter::<Keyed<str, u64>>::write(writer, ("ice", &count), &mut rows).unwrap();
    rows
}

#[test]
fn records_arrive_with_their_checkpoint_and_not_before() {
    let (sink, receiver): Counts = ChannelSink::new();
    let (mut committer, mut writer) = start(&sink);
    let mut other = Sink::<Keyed<str, u64>>::writer(&sink).unwrap();
    committer.recover(None).unwrap();
    let late = row(&mut writer, 3);
    for (epoch, rows) in [(1, row(&mut other, 1)), (2, late), (1, row(&mut other, 2))] {
        committer.stage(epoch, &rows).unwrap();
    }
    assert_eq!(committer.pre_commit(1).unwrap(), Vec::<u8>::new());
    assert_eq!(pairs(&receiver), [0; 0]);
    for _ in 0..2 {
        committer.commit(1).unwrap();
    }
    assert_eq!(pairs(&receiver), [1, 2]);
    committer.commit(2).unwrap();
    assert_eq!(pairs(&receiver), [3]);
}

#[test]
fn a_second_job_in_the_process_neither_loses_nor_repeats_a_record() {
    let (sink, receiver): Counts = ChannelSink::new();
    let (mut committer, mut writer) = start(&sink);
    for epoch in 1..=3 {
        let rows = row(&mut writer, epoch);
        committer.stage(epoch, &rows).unwrap();
    }
    row(&mut writer, 4);
    committer.commit(1).unwrap();
    drop((committer, writer));
    // Checkpoint 2 became durable, and the first job ended before it could commit.
    let (mut committer, mut writer) = start(&sink);
    let restored = Restored {
        checkpoint: 2,
        pre_commit: &[],
    };
    committer.recover(Some(restored)).unwrap();
    assert_eq!(pairs(&receiver), [1, 2]);
    let rows = row(&mut writer, 33);
    committer.stage(3, &rows).unwrap();
    committer.commit(3).unwrap();
    assert_eq!(pairs(&receiver), [33]);
}

#[test]
fn a_receiver_that_is_gone_fails_the_commit() {
    let (sink, receiver): Counts = ChannelSink::new();
    let (mut committer, mut writer) = start(&sink);
    let rows = row(&mut writer, 1);
    committer.stage(1, &rows).unwrap();
    drop(receiver);
    assert!(matches!(committer.commit(1), Err(SinkError::ReceiverGone)));
}

#[test]
fn rows_of_another_job_are_noticed() {
    let (sink, _receiver): Counts = ChannelSink::new();
    let (mut committer, mut writer) = start(&sink);
    let rows = row(&mut writer, 1);
    let (_second, _) = start(&sink);
    assert!(matches!(
        committer.stage(1, &rows),
        Err(SinkError::ForeignRow)
    ));
}

#[test]
fn the_channel_closes_when_nobody_can_send() {
    let (sink, receiver) = ChannelSink::<String>::new();
    let committer = Sink::<str>::committer(&sink).unwrap();
    drop(sink);
    drop(committer);
    assert!(receiver.recv().is_err());
}
