//! The program `millstream`.

use millstream::cli::{Cli, Command};
use millstream::exit::Exit;
use millstream::{logging, standalone};
use std::process::ExitCode;

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
    let secrets = logging::start();
    match cli.command {
        Command::Standalone(args) => standalone::run(&args, &secrets).into(),
    }
}
