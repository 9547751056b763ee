//! The main job, started and ended in all the usual ways, against a plain count.

use std::sync::Arc;
use std::time::Duration;

use frazil::DriverChoice;
use frazil_io::storage::MemoryStorage;
use frazil_tests::{WordCount, committed_rows, input_file, reference_rows, text};

fn word_count(input: &std::path::Path) -> WordCount {
    WordCount {
        output: Arc::new(MemoryStorage::new()),
        interval: Some(Duration::from_millis(5)),
        tuning: frazil::Tuning::default(),
        ..WordCount::new(input, Arc::new(MemoryStorage::new()))
    }
}

#[test]
fn a_whole_run_commits_every_row_once_on_any_number_of_shards_and_driver() {
    let text = text(20_000, 3000);
    let (_folder, input) = input_file(&text);
    for shards in 1..=4 {
        for driver in [DriverChoice::Thread, DriverChoice::Auto] {
            let mut run = word_count(&input);
            run.shards = shards;
            run.driver = driver;
            run.start().expect("starts").wait().expect("ends well");
            assert!(
                committed_rows(&*run.output) == reference_rows(&text, run.rounds),
                "rows differ with shards={shards} driver={driver:?}"
            );
        }
    }
}

#[test]
fn a_stopped_job_goes_on_where_it_stopped() {
    let text = text(50_000, 2000);
    let (_folder, input) = input_file(&text);
    let mut run = word_count(&input);
    run.shards = 2;
    run.rounds = 20;
    let mut stops = 0;
    loop {
        let handle = run.start().expect("starts");
        if stops < 3 {
            handle.checkpoint().expect("a checkpoint becomes durable");
            stops += 1;
            handle.stop();
            handle.wait().expect("stops well");
        } else {
            handle.wait().expect("ends well");
            break;
        }
    }
    assert!(committed_rows(&*run.output) == reference_rows(&text, run.rounds));
}
