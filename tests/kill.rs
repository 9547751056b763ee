//! Real processes on real files, killed at random moments until one of them ends by itself: the
//! output is equal to that of an undisturbed run.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use frazil_io::storage::FileStorage;
use frazil_tests::{assert_nothing_early, committed_rows, input_file, reference_rows, text};

const ROUNDS: u64 = 150;
const KILLS: u64 = 5;

/// Randomness with a seed that the test's name says.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

struct Incarnation {
    /// What it went on from; 0 = a fresh start.
    restored: u64,
    /// The newest checkpoint that it called durable.
    durable: u64,
    ended_well: bool,
}

fn spawn(folder: &Path, input: &Path, shards: usize) -> Child {
    Command::new(env!("CARGO_BIN_EXE_word-count-child"))
        .arg(input)
        .args([ROUNDS.to_string(), shards.to_string()])
        .args([folder.join("checkpoints"), folder.join("out")])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the child starts")
}

/// Lets a process run for `lines` checkpoints and a random moment more.
fn run_and_kill(mut child: Child, lines: u64, extra: Duration) -> Incarnation {
    let out = BufReader::new(child.stdout.take().expect("piped"));
    let mut incarnation = Incarnation {
        restored: 0,
        durable: 0,
        ended_well: false,
    };
    let mut seen = 0;
    for line in out.lines() {
        let line = line.expect("the child writes text");
        let (what, number) = line.split_once(' ').expect("two words a line");
        let number = number.parse().expect("a number");
        if what == "restored" {
            incarnation.restored = number;
            continue;
        }
        incarnation.durable = number;
        seen += 1;
        if seen == lines {
            let begun = Instant::now();
            while begun.elapsed() < extra {
                std::hint::spin_loop();
            }
            child.kill().expect("SIGKILL");
        }
    }
    incarnation.ended_well = child.wait().expect("the child ends").success();
    incarnation
}

fn kill_until_it_ends(shards: usize, seed: u64) {
    let text = text(40_000, 4_000);
    let (folder, input) = input_file(&text);
    let reference = reference_rows(&text, ROUNDS);
    let mut dice = Dice(seed);
    let mut durable = 0;
    let mut kills = 0;
    loop {
        let lines = if kills < KILLS {
            1 + dice.below(6)
        } else {
            u64::MAX
        };
        let extra = Duration::from_micros(dice.below(4_000));
        let child = spawn(folder.path(), &input, shards);
        let incarnation = run_and_kill(child, lines, extra);
        assert!(incarnation.restored >= durable, "seed={seed} kills={kills}");
        durable = incarnation.durable;
        let output = FileStorage::open(folder.path().join("out")).expect("output opens");
        assert_nothing_early(&output, &reference);
        if incarnation.ended_well {
            assert!(kills >= 2, "seed={seed}: it ended after {kills} kills");
            assert!(
                committed_rows(&output) == reference,
                "seed={seed}: rows differ"
            );
            return;
        }
        kills += 1;
    }
}

#[test]
fn kills_of_one_shard_with_seed_1_leave_no_trace_in_the_output() {
    kill_until_it_ends(1, 1);
}

#[test]
fn kills_of_two_shards_with_seed_2_leave_no_trace_in_the_output() {
    kill_until_it_ends(2, 2);
}

#[test]
fn kills_of_four_shards_with_seed_3_leave_no_trace_in_the_output() {
    kill_until_it_ends(4, 3);
}
