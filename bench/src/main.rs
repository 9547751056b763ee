//! `frazil-bench`: what exactly-once stream processing costs on this machine.

use frazil_bench::cli::{self, Command};
use frazil_bench::demo::{self, error::DemoError};
use frazil_bench::exit::Exit;
use frazil_bench::measure_error::MeasureError;
use frazil_bench::probe::huge_pages::restart_with_huge_pages;
use frazil_bench::{
    ablate, baselines, checkpoint, compare, doctor, idle, interrupt, limits, nexmark, open_loop,
    ratios, recovery, state_bench, throughput,
};
use std::env;
use std::fmt::Display;
use std::io;
use std::panic::catch_unwind;
use std::time::Instant;

fn main() -> Exit {
    let (started, started_ns) = (Instant::now(), recovery::child::clock_ns());
    if let Err(error) = interrupt::install() {
        eprintln!("Ctrl-C will leave files behind: {error}");
    }
    match cli::parse(env::args_os()) {
        // What happened was printed when it did.
        Ok(command) => catch_unwind(|| run(command, started, started_ns)).unwrap_or(Exit::Failed),
        Err(error) => {
            // Where it cannot be printed, the exit status still tells.
            drop(error.print());
            cli::exit_of(&error)
        }
    }
}

fn run(command: Command, started: Instant, started_ns: u64) -> Exit {
    let mut out = io::stdout();
    match command {
        Command::Demo(arguments) => ended(demo::run::run(&arguments, &mut out), DemoError::exit),
        Command::Doctor(arguments) => ended(doctor::run(&arguments, &mut out), MeasureError::exit),
        Command::Idle(arguments) => measured(idle::run(&arguments, &mut out)),
        Command::Limits(arguments) => measured(limits::run(&arguments, &mut out)),
        Command::Latency(arguments) => measured(open_loop::latency(&arguments, &mut out)),
        Command::Overhead(arguments) => measured(open_loop::overhead(&arguments, &mut out)),
        Command::Throughput(arguments) => measured(throughput::run(&arguments, &mut out)),
        Command::Checkpoint(arguments) => measured(checkpoint::run(&arguments, &mut out)),
        Command::Recovery(arguments) => measured(recovery::run(&arguments, &mut out)),
        Command::State(arguments) => {
            with_huge_pages();
            measured(state_bench::run(&arguments, &mut out))
        }
        Command::Baselines(arguments) => {
            with_huge_pages();
            measured(baselines::run(&arguments, &mut out))
        }
        Command::Ratios(arguments) => {
            with_huge_pages();
            measured(ratios::run(&arguments, &mut out))
        }
        Command::Nexmark(arguments) => measured(nexmark::run(&arguments, &mut out)),
        Command::Ablate(arguments) => measured(ablate::run(&arguments, &mut out)),
        Command::Compare(arguments) => {
            ended(compare::run(&arguments, &mut out), MeasureError::exit)
        }
        Command::MemoryChild { settings } => {
            end_with_parent();
            measured(ratios::child::run(&settings).map(|line| println!("{line}")))
        }
        Command::RecoveryChild { settings } => {
            end_with_parent();
            measured(recovery::child::run(&settings, started_ns, out))
        }
        Command::DemoChild { settings } => {
            end_with_parent();
            let counted = demo::counting::run(&settings, started, out);
            ended(counted.map(|()| Exit::Ok), DemoError::exit)
        }
    }
}

fn measured(done: Result<(), MeasureError>) -> Exit {
    ended(done.map(|()| Exit::Ok), MeasureError::exit)
}

fn end_with_parent() {
    if let Err(error) = interrupt::end_with_parent() {
        eprintln!("this process may outlive its parent: {error}");
    }
}

/// Without them the measurement goes on and says so.
fn with_huge_pages() {
    if let Err(error) = restart_with_huge_pages() {
        eprintln!("cannot start anew with huge pages for all memory: {error}");
    }
}

fn ended<E: Display>(done: Result<Exit, E>, exit_of: fn(&E) -> Exit) -> Exit {
    interrupt::wait_if_interrupted();
    done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        exit_of(&error)
    })
}
