//! Pinned loops end, exchange messages, survive each other's panics, and never hang; on both
//! drivers. Where the machine forbids `io_uring`, the plain thread driver is tested alone.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use frazil_io::IoError;
use frazil_io::runtime::{
    Bell, CpuId, Driver, DriverChoice, Heartbeat, LoopSpec, PinnedLoop, PinnedThread, Turn,
    available_cpus, choose_driver, spawn_pinned,
};
use rtrb::{Consumer, Producer, RingBuffer};

fn drivers() -> Vec<Driver> {
    let best = choose_driver(DriverChoice::Auto)
        .expect("auto always finds a driver")
        .driver;
    if best == Driver::Glommio {
        vec![Driver::Thread, best]
    } else {
        vec![best]
    }
}

fn spec(name: &str, bell: &Bell) -> LoopSpec {
    LoopSpec {
        name: name.into(),
        cpu: None,
        may_spin: false,
        bell: bell.clone(),
    }
}

fn pinned_spec(name: &str, cpu: CpuId, bell: &Bell) -> LoopSpec {
    LoopSpec {
        cpu: Some(cpu),
        ..spec(name, bell)
    }
}

fn heartbeat(loops: &[(&Bell, &PinnedThread)]) -> Heartbeat {
    let loops = loops
        .iter()
        .map(|(bell, thread)| ((*bell).clone(), thread.turns()));
    Heartbeat::start(loops.collect(), &[]).expect("one more thread can start")
}

/// Busy for a number of turns, counted in a place that is not `Send`; says so when it is dropped.
struct CountDown {
    remaining: Rc<Cell<u32>>,
    dropped: Sender<&'static str>,
}

impl CountDown {
    fn new(turn_count: u32, dropped: Sender<&'static str>) -> Self {
        Self {
            remaining: Rc::new(Cell::new(turn_count)),
            dropped,
        }
    }
}

impl PinnedLoop for CountDown {
    fn turn(&mut self) -> Turn {
        self.remaining.set(self.remaining.get() - 1);
        if self.remaining.get() == 0 {
            Turn::Done
        } else {
            Turn::Busy
        }
    }
}

impl Drop for CountDown {
    fn drop(&mut self) {
        self.dropped
            .send("dropped")
            .expect("the test outlives the loop");
    }
}

#[test]
fn a_loop_runs_until_it_is_done_and_is_dropped_on_its_thread() {
    for driver in drivers() {
        let bell = Bell::new();
        let (dropped, drops) = channel();
        let spec = pinned_spec("count", available_cpus()[0], &bell);
        let make = || CountDown::new(1000, dropped);
        let thread = spawn_pinned(driver, spec, make).unwrap();
        let heartbeat = heartbeat(&[(&bell, &thread)]);
        let turns = thread.turns();
        assert_eq!(thread.name(), "count");
        thread.join().unwrap();
        drop(heartbeat);
        assert_eq!(turns.get(), 1000);
        assert_eq!(drops.try_iter().collect::<Vec<_>>(), ["dropped"]);
    }
}

const MESSAGE_COUNT: u64 = 1_000_000;

/// Sends numbers and sums up what comes back.
struct Asker {
    requests: Producer<u64>,
    replies: Consumer<u64>,
    peer: Bell,
    sent_count: u64,
    received_count: u64,
    sum: u64,
    result: Sender<u64>,
}

impl PinnedLoop for Asker {
    fn turn(&mut self) -> Turn {
        let before = (self.sent_count, self.received_count);
        while self.sent_count < MESSAGE_COUNT && self.requests.push(self.sent_count).is_ok() {
            self.sent_count += 1;
        }
        while let Ok(number) = self.replies.pop() {
            self.received_count += 1;
            self.sum += number;
        }
        if before == (self.sent_count, self.received_count) {
            return Turn::Idle;
        }
        self.peer.ring();
        if self.received_count < MESSAGE_COUNT {
            return Turn::Busy;
        }
        self.result
            .send(self.sum)
            .expect("the test outlives the loop");
        Turn::Done
    }
}

/// Sends every number back, doubled.
struct Doubler {
    requests: Consumer<u64>,
    replies: Producer<u64>,
    peer: Bell,
}

impl PinnedLoop for Doubler {
    fn turn(&mut self) -> Turn {
        let mut is_idle = true;
        while self.replies.slots() > 0
            && let Ok(number) = self.requests.pop()
        {
            self.replies.push(2 * number).expect("a slot was free");
            is_idle = false;
        }
        if !is_idle {
            self.peer.ring();
            return Turn::Busy;
        }
        if self.requests.is_abandoned() {
            Turn::Done
        } else {
            Turn::Idle
        }
    }
}

#[test]
fn two_loops_exchange_a_million_messages_over_rings() {
    for driver in drivers() {
        let cpus = available_cpus();
        let (requests, requests_out) = RingBuffer::new(1024);
        let (replies, replies_out) = RingBuffer::new(1024);
        let (asker_bell, doubler_bell) = (Bell::new(), Bell::new());
        let (result, results) = channel();

        let (asker_peer, doubler_peer) = (doubler_bell.clone(), asker_bell.clone());
        let doubler = spawn_pinned(
            driver,
            pinned_spec("doubler", cpus[cpus.len() - 1], &doubler_bell),
            || Doubler {
                requests: requests_out,
                replies,
                peer: doubler_peer,
            },
        );
        let make_asker = move || Asker {
            requests,
            replies: replies_out,
            peer: asker_peer,
            sent_count: 0,
            received_count: 0,
            sum: 0,
            result,
        };
        let asker = spawn_pinned(
            driver,
            pinned_spec("asker", cpus[0], &asker_bell),
            make_asker,
        );
        let (asker, doubler) = (asker.unwrap(), doubler.unwrap());
        let heartbeat = heartbeat(&[(&asker_bell, &asker), (&doubler_bell, &doubler)]);
        asker.join().unwrap();
        doubler.join().unwrap();
        drop(heartbeat);
        assert_eq!(results.recv().unwrap(), MESSAGE_COUNT * (MESSAGE_COUNT - 1));
    }
}

/// Panics in its third turn, where a value of its own is dropped on the way out.
struct Failing(CountDown);

impl PinnedLoop for Failing {
    fn turn(&mut self) -> Turn {
        assert!(self.0.remaining.get() > 1, "the {} turn failed", "third");
        self.0.turn()
    }
}

/// Idle until the sender is gone; says when it has turned for the first time after a request.
struct Bystander(Receiver<Sender<()>>);

impl PinnedLoop for Bystander {
    fn turn(&mut self) -> Turn {
        match self.0.recv_timeout(Duration::ZERO) {
            Ok(reply) => {
                reply.send(()).expect("the test waits for the reply");
                Turn::Busy
            }
            Err(RecvTimeoutError::Timeout) => Turn::Idle,
            Err(RecvTimeoutError::Disconnected) => Turn::Done,
        }
    }
}

#[test]
fn a_panic_comes_back_as_its_message_and_other_loops_go_on() {
    for driver in drivers() {
        let bystander_bell = Bell::new();
        let (request, requests) = channel();
        let make = || Bystander(requests);
        let bystander = spawn_pinned(driver, spec("bystander", &bystander_bell), make).unwrap();
        let heartbeat = heartbeat(&[(&bystander_bell, &bystander)]);

        let (dropped, drops) = channel();
        let make = || Failing(CountDown::new(3, dropped));
        let in_turn = spawn_pinned(driver, spec("in-turn", &Bell::new()), make).unwrap();
        assert_eq!(
            in_turn.join().unwrap_err().as_str(),
            "the third turn failed"
        );
        assert_eq!(drops.recv(), Ok("dropped"));

        let make = || -> Failing { panic!("no loop could be made") };
        let in_make = spawn_pinned(driver, spec("in-make", &Bell::new()), make).unwrap();
        assert_eq!(
            in_make.join().unwrap_err().to_string(),
            "no loop could be made"
        );

        let (reply, replies) = channel();
        request.send(reply).unwrap();
        bystander_bell.ring();
        replies.recv().unwrap();
        assert!(!bystander.is_finished());
        drop(request);
        bystander_bell.ring();
        bystander.join().unwrap();
        drop(heartbeat);
    }
}

#[test]
fn fifty_loops_start_and_end_in_a_row() {
    for driver in drivers() {
        for number in 0..50 {
            let bell = Bell::new();
            let (dropped, _drops) = channel();
            let spec = spec(&format!("loop-{number}"), &bell);
            let thread = spawn_pinned(driver, spec, || CountDown::new(10, dropped)).unwrap();
            let heartbeat = heartbeat(&[(&bell, &thread)]);
            thread.join().unwrap();
            drop(heartbeat);
        }
    }
}

/// Idle until it is told to stop.
struct Idler(Arc<AtomicBool>);

impl PinnedLoop for Idler {
    fn turn(&mut self) -> Turn {
        if self.0.load(Ordering::Acquire) {
            Turn::Done
        } else {
            Turn::Idle
        }
    }
}

#[test]
fn a_running_loop_tells_its_cpu_time_and_an_ended_one_does_not() {
    for driver in drivers() {
        let bell = Bell::new();
        let stop = Arc::new(AtomicBool::new(false));
        let make = {
            let stop = Arc::clone(&stop);
            || Idler(stop)
        };
        let thread = spawn_pinned(driver, spec("idler", &bell), make).unwrap();
        let heartbeat = heartbeat(&[(&bell, &thread)]);
        let before = thread.cpu_time().unwrap();
        while thread.cpu_time().unwrap() == before {
            std::thread::yield_now();
        }
        stop.store(true, Ordering::Release);
        bell.ring();
        while !thread.is_finished() {
            std::thread::yield_now();
        }
        assert_eq!(thread.cpu_time(), None);
        thread.join().unwrap();
        drop(heartbeat);
    }
}

/// Works without a pause until its time is over, a few microseconds a turn.
struct Hot {
    end: Instant,
}

impl PinnedLoop for Hot {
    fn turn(&mut self) -> Turn {
        for step in 0..1000_u32 {
            std::hint::black_box(step);
        }
        if Instant::now() < self.end {
            Turn::Busy
        } else {
            Turn::Done
        }
    }
}

/// glommio may park an executor whose task is ready; the heartbeat must bound every such stall.
#[test]
fn a_hot_loop_with_a_heartbeat_never_stands_still() {
    const STALL_MAX: Duration = Duration::from_secs(1);
    for driver in drivers() {
        let bell = Bell::new();
        let (ended, end) = channel();
        let make = || Hot {
            end: Instant::now() + Duration::from_secs(2),
        };
        let spec = pinned_spec("hot", available_cpus()[0], &bell);
        let thread = spawn_pinned(driver, spec, make).unwrap();
        let heartbeat = heartbeat(&[(&bell, &thread)]);
        let turns = thread.turns();
        let joiner = std::thread::spawn(move || {
            thread.join().unwrap();
            ended.send(()).unwrap();
        });

        let (mut seen, mut moved) = (turns.get(), Instant::now());
        while end.recv_timeout(Duration::from_millis(10)) == Err(RecvTimeoutError::Timeout) {
            if turns.get() != seen {
                (seen, moved) = (turns.get(), Instant::now());
            }
            assert!(
                moved.elapsed() < STALL_MAX,
                "{driver} stood still after {seen} turns"
            );
        }
        joiner.join().unwrap();
        drop(heartbeat);
        assert!(
            turns.get() > 1000,
            "{driver} made only {} turns",
            turns.get()
        );
    }
}

#[test]
fn glommio_by_name_runs_or_says_what_is_missing() {
    match choose_driver(DriverChoice::Glommio) {
        Ok(decision) => assert_eq!(decision.driver, Driver::Glommio),
        Err(error) => assert!(
            matches!(error, IoError::DriverUnavailable { .. }),
            "{error}"
        ),
    }
}
