//! The command line.
//!
//! Lives here: what may be written on it and what the help says.
//! Lives elsewhere: what the commands do.

use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Moves data between Apache Kafka and other systems, as Kafka Connect does, without a JVM.
#[derive(Debug, Parser)]
#[command(name = "millstream", version, arg_required_else_help = true, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a worker by itself, with the connectors of these files.
    Standalone(StandaloneArgs),
}

/// Runs one worker with connectors from files, until SIGTERM or Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = STANDALONE_HELP)]
pub struct StandaloneArgs {
    /// The worker's configuration, as connect-standalone.properties of Apache Kafka.
    #[arg(value_name = "WORKER.properties")]
    pub worker: PathBuf,
    /// Connector configurations: .properties, or JSON with "name" and "config".
    #[arg(value_name = "CONNECTOR.properties")]
    pub connectors: Vec<PathBuf>,
}

const AFTER_HELP: &str = "\
Example:
  millstream standalone worker.properties file-source.properties file-sink.properties

A link to this program with the name connect-standalone takes the arguments of Kafka's script of that name.
Log levels: MILLSTREAM_LOG=debug, or MILLSTREAM_LOG=info,kafka_client=debug. Logs go to standard error.";

const STANDALONE_HELP: &str = "\
The smallest worker.properties:
  bootstrap.servers=localhost:9092
  key.converter=org.apache.kafka.connect.storage.StringConverter
  value.converter=org.apache.kafka.connect.storage.StringConverter
  offset.storage.file.filename=/tmp/connect.offsets

A source, lines of a file into a topic:            A sink, records of a topic into a file:
  name=local-file-source                             name=local-file-sink
  connector.class=FileStreamSource                   connector.class=FileStreamSink
  file=test.txt                                      file=test.sink.txt
  topic=connect-test                                 topics=connect-test

SIGTERM and Ctrl-C stop gracefully: tasks finish, offsets are stored. A second one ends the program at once.

Exit codes:
  0  stopped as told
  1  wrong command line
  2  the worker could not start: configuration, offset file, no Kafka
  3  a connector could not be read or started";

/// The name that Kafka's script has.
const STANDALONE_LINK: &str = "connect-standalone";

impl Cli {
    /// Reads the command line. The name by which the program was called may stand for a command.
    ///
    /// Fails: with the text to print, which for `--help` and `--version` is no error.
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut arguments: Vec<OsString> = arguments.into_iter().collect();
        let called_as = arguments.first().map(Path::new).and_then(Path::file_stem);
        if called_as == Some(STANDALONE_LINK.as_ref()) {
            arguments.insert(1, "standalone".into());
        }
        // `standalone` alone asks for help too.
        Self::try_parse_from(arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &str) {
        let actual = match Cli::read(line.split(' ').map(OsString::from)) {
            Ok(Cli {
                command: Command::Standalone(args),
            }) => {
                let names: Vec<_> = args
                    .connectors
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect();
                format!("{} with {}", args.worker.display(), names.join(" "))
            }
            Err(error) => format!("{:?}", error.kind()),
        };
        assert_eq!(actual, expected);
    }

    #[test]
    fn the_command_or_the_link_of_kafkas_name() {
        check("millstream standalone w c1 c2", "w with c1 c2");
        check("/opt/bin/connect-standalone w c", "w with c");
        check("connect-standalone.sh w", "w with ");
        check("millstream", "DisplayHelpOnMissingArgumentOrSubcommand");
        check("millstream standalone", "MissingRequiredArgument");
        check("millstream distribute w", "InvalidSubcommand");
    }

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
