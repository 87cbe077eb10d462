//! `cargo xtask`: what the project does to itself. Checks, tests, and real brokers to test against.
//!
//! Lives here: the list of commands and their help.
//! Never here: anything that a release of Millstream needs.

mod arrows;
mod bench;
mod kafka;
mod python;
mod referee;
mod rust_source;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::{Result, bail};

use workspace::Workspace;

const HELP: &str = "\
cargo xtask <command>: checks, tests and real Kafka brokers for working on Millstream

Commands:
  test      Everything that must pass before a change is merged: format, lints, arrows, tidy,
            build, and all tests against a real Apache Kafka broker that it fetches and starts
  arrows    Check that crates and modules use only what the design lets them use
  tidy      Check the rules of the house that the compiler does not know
  kafka     Start and stop real Kafka brokers to work against
  bench     Measure Millstream against Java's Kafka Connect, and our client against rdkafka

`cargo xtask <command> --help` says more about each.
";

/// What a command came to.
pub enum Verdict {
    Good,
    /// The reasons have been printed.
    Bad,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Bad) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<Verdict> {
    let (command, rest) = match arguments.split_first() {
        None => ("help", arguments),
        Some((command, rest)) => (command.as_str(), rest),
    };
    let help = match command {
        "help" | "--help" | "-h" => HELP,
        "test" => test::HELP,
        "arrows" => arrows::HELP,
        "tidy" => tidy::HELP,
        "kafka" => kafka::HELP,
        "bench" => bench::HELP,
        unknown => bail!("no command `{unknown}`\n\n{HELP}"),
    };
    if help == HELP
        || rest
            .iter()
            .any(|argument| argument == "--help" || argument == "-h")
    {
        print!("{help}");
        return Ok(Verdict::Good);
    }
    let workspace = Workspace::read()?;
    match command {
        "test" => test::run(&workspace, rest),
        "arrows" => no_arguments(command, rest).and_then(|()| arrows::run(&workspace)),
        "tidy" => no_arguments(command, rest).and_then(|()| tidy::run(&workspace)),
        "bench" => bench::run(&workspace, rest),
        _ => kafka::run(&workspace, rest),
    }
}

fn no_arguments(command: &str, rest: &[String]) -> Result<()> {
    match rest.first() {
        None => Ok(()),
        Some(argument) => bail!("`{command}` takes no argument, got `{argument}`"),
    }
}
