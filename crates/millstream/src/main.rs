//! The program `millstream`.

use millstream::cli::{Cli, Command};
use millstream::exit::Exit;
use millstream::{kafka, logging, quickstart, standalone, transform, validate};
use std::process::ExitCode;
use tracing::Level;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os()) {
        Ok(cli) => cli,
        Err(answer) => {
            // Nothing can be done about a closed terminal.
            let _ = answer.print();
            let asked = !answer.use_stderr();
            return if asked {
                Exit::Success.into()
            } else {
                Exit::Usage.into()
            };
        }
    };
    // Where a person reads along, the program speaks for itself and logs say what went wrong.
    let secrets = logging::start(match cli.command {
        Command::Quickstart(_) | Command::Transform(_) | Command::Validate(_) => Level::WARN,
        _ => Level::INFO,
    });
    match cli.command {
        Command::Quickstart(args) => quickstart::run(&args, &secrets).into(),
        Command::Standalone(args) => standalone::run(&args, &secrets).into(),
        Command::Transform(args) => transform::run(&args).into(),
        Command::Validate(args) => validate::run(&args, &secrets).into(),
        Command::Kafka(args) => kafka::run(&args).into(),
    }
}
