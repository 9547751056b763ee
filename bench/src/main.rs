//! `frazil-bench`: what exactly-once stream processing costs on this machine.

use frazil_bench::cli::{self, Command};
use frazil_bench::demo::{self, error::DemoError};
use frazil_bench::exit::Exit;
use frazil_bench::limits;
use frazil_bench::measure_error::MeasureError;
use std::env;
use std::fmt::Display;
use std::io;
use std::time::Instant;

fn main() -> Exit {
    let started = Instant::now();
    match cli::parse(env::args_os()) {
        Ok(command) => run(command, started),
        Err(error) => {
            // Where it cannot be printed, the exit status still tells.
            drop(error.print());
            cli::exit_of(&error)
        }
    }
}

fn run(command: Command, started: Instant) -> Exit {
    let mut out = io::stdout();
    match command {
        Command::Demo(arguments) => ended(demo::run::run(&arguments, &mut out), DemoError::exit),
        Command::Limits(arguments) => {
            let measured = limits::run(&arguments, &mut out);
            ended(measured.map(|()| Exit::Ok), MeasureError::exit)
        }
        Command::DemoChild { settings } => {
            let counted = demo::counting::run(&settings, started, out);
            ended(counted.map(|()| Exit::Ok), DemoError::exit)
        }
    }
}

fn ended<E: Display>(done: Result<Exit, E>, exit_of: fn(&E) -> Exit) -> Exit {
    done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        exit_of(&error)
    })
}
