//! `frazil-bench`: what exactly-once stream processing costs on this machine.

use frazil_bench::cli::{self, Command};
use frazil_bench::demo;
use frazil_bench::exit::Exit;
use std::env;
use std::io;

fn main() -> Exit {
    match cli::parse(env::args_os()) {
        Ok(command) => run(command),
        Err(error) => {
            // Where it cannot be printed, the exit status still tells.
            drop(error.print());
            cli::exit_of(&error)
        }
    }
}

fn run(command: Command) -> Exit {
    match command {
        Command::Demo(arguments) => {
            demo::run::run(&arguments, &mut io::stdout()).unwrap_or_else(|error| {
                eprintln!("error: {error}");
                error.exit()
            })
        }
        Command::DemoChild { settings } => {
            eprintln!(
                "error: this build cannot run the job in {}",
                settings.display()
            );
            Exit::Failed
        }
    }
}
