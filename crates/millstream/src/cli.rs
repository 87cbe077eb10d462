//! The command line.
//!
//! Lives here: what may be written on it and what the help says.
//! Lives elsewhere: what the commands do.

use clap::{Args, Parser, Subcommand};
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// Moves data between Apache Kafka and other systems, as Kafka Connect does, without a JVM.
#[derive(Debug, Parser)]
#[command(name = "millstream", version, arg_required_else_help = true, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// See data flow within a minute: a log, a worker and an example in this process.
    Quickstart(QuickstartArgs),
    /// Run a worker by itself, with the connectors of these files.
    Standalone(StandaloneArgs),
    /// Try a connector's transforms on lines of JSON, without a worker.
    Transform(TransformArgs),
    /// Say what is wrong with connector configurations.
    Validate(ValidateArgs),
    /// Run a log that speaks Kafka's protocol, for one machine.
    Kafka(KafkaArgs),
}

/// Checks connector configurations as Kafka Connect's REST API does before it creates a connector, and names unknown
/// keys with the nearest known one. Starts nothing and needs no Kafka.
#[derive(Debug, Args)]
#[command(after_help = VALIDATE_HELP)]
pub struct ValidateArgs {
    /// Connector configurations: .properties or JSON.
    #[arg(value_name = "CONFIG", required = true)]
    pub configs: Vec<PathBuf>,
    /// The worker's configuration: its converters are the defaults, its policy decides about client overrides, and its
    /// config providers resolve ${provider:path:key}.
    #[arg(long, value_name = "WORKER.properties")]
    pub worker: Option<PathBuf>,
    /// Answer in the JSON of PUT /connector-plugins/{class}/config/validate.
    #[arg(long)]
    pub json: bool,
}

/// Reads records from standard input, one a line, runs the transforms of a connector configuration over them and
/// writes the results, one a line.
#[derive(Debug, Args)]
#[command(after_help = TRANSFORM_HELP)]
pub struct TransformArgs {
    /// A connector's configuration, .properties or JSON, or a part of one: only transforms and predicates count.
    #[arg(value_name = "CONFIG")]
    pub config: PathBuf,
    /// Show each record after each step, on standard error.
    #[arg(long)]
    pub explain: bool,
    /// Topic of records that do not say theirs; else the one of the configuration.
    #[arg(long, value_name = "TOPIC")]
    pub topic: Option<String>,
    /// Lines are a key, a tab and a value; read the key with this converter.
    #[arg(long, value_name = "CLASS")]
    pub key_converter: Option<String>,
    /// Read the value with this converter, as a worker reads a message. Its settings are those of the configuration,
    /// such as value.converter.schemas.enable.
    #[arg(long, value_name = "CLASS")]
    pub value_converter: Option<String>,
}

/// Starts a log that speaks Kafka's protocol and a worker, with an example that moves data, until Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = QUICKSTART_HELP)]
pub struct QuickstartArgs {
    #[command(flatten)]
    pub log: LogArgs,
    /// Start the log and the worker alone, without the example's connectors.
    #[arg(long)]
    pub no_example: bool,
}

impl QuickstartArgs {
    pub fn example(&self) -> bool {
        !self.no_example
    }
}

/// Runs a log that speaks Kafka's protocol, until SIGTERM or Ctrl-C. Prints its address when it is ready.
#[derive(Debug, Args)]
#[command(after_help = KAFKA_HELP)]
pub struct KafkaArgs {
    #[command(flatten)]
    pub log: LogArgs,
    /// Address to listen on. Beyond loopback everybody who reaches it may read, write and delete.
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    pub bind: IpAddr,
}

/// The log, wherever it runs.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// Folder for everything that is kept.
    #[arg(long, value_name = "DIR", default_value = "millstream-data")]
    pub dir: PathBuf,
    /// Port of the log; 0 takes a free one.
    #[arg(long, value_name = "PORT", default_value_t = 9092)]
    pub kafka_port: u16,
    /// When to wait for the disk: never (as Kafka does; only a power failure loses records), always, or
    /// every so many milliseconds.
    #[arg(long, value_name = "never|always|MS", default_value = "never")]
    pub fsync: FsyncChoice,
}

/// See [`LogArgs::fsync`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FsyncChoice {
    Never,
    Always,
    Every(Duration),
}

impl FromStr for FsyncChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse::<u64>()) {
            ("never", _) => Ok(Self::Never),
            ("always", _) => Ok(Self::Always),
            (_, Ok(ms)) if ms > 0 => Ok(Self::Every(Duration::from_millis(ms))),
            _ => Err("must be never, always or milliseconds above 0".to_string()),
        }
    }
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
Examples:
  millstream quickstart
  millstream standalone worker.properties file-source.properties file-sink.properties

A link to this program with the name connect-standalone takes the arguments of Kafka's script of that name.
Log levels: MILLSTREAM_LOG=debug, or MILLSTREAM_LOG=info,kafka_client=debug. Logs go to standard error.";

const QUICKSTART_HELP: &str = "\
Nothing has to be installed. The folder keeps it all: the log's topics, the connectors' files, the example's
orders and what became of them. Connector files that you put into DIR/connectors are started too.

Clients of Apache Kafka work with the log: kafka-console-consumer, kcat, any library. It is for one machine; to go
further, give the same connector files to `millstream standalone` with the address of Apache Kafka.

Exit codes:
  0  stopped as told
  1  wrong command line
  2  the log or the worker could not start: a port in use, a folder that cannot be written";

const KAFKA_HELP: &str = "\
Example:
  millstream kafka --dir /tmp/log --kafka-port 0
prints bootstrap.servers=127.0.0.1:<port>, which is what clients and `millstream standalone` are configured with.

Exit codes:
  0  stopped as told
  1  wrong command line
  2  could not start: a port in use, a folder that cannot be written or that another process uses";

const TRANSFORM_HELP: &str = "\
Example:
  echo '{\"id\":7,\"card\":\"4111\"}' | millstream transform orders-sink.properties --explain

A line is a record as JSON with every type told apart, which is also how results are written:
  {\"topic\":\"orders\",\"key\":{\"schema\":null,\"payload\":\"k\"},\"value\":{\"schema\":…,\"payload\":…},\"headers\":[…]}
vectors/README.md of the project describes the form. Any other JSON is taken as the value alone, without a schema.

Records that a transform drops, and those that fail, are said on standard error with the transform's alias.

Exit codes:
  0  every record was transformed or dropped
  1  wrong command line
  2  the configuration cannot be read or is wrong
  3  at least one line failed";

const VALIDATE_HELP: &str = "\
Example:
  millstream validate --worker worker.properties orders-sink.properties

Exit codes:
  0  every configuration is valid
  1  wrong command line
  2  at least one configuration is wrong or cannot be read";

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

/// For tests of the command itself.
#[cfg(test)]
pub fn transform_args(words: &[&str]) -> TransformArgs {
    let line = std::iter::once("millstream").chain(words.iter().copied());
    match Cli::try_parse_from(line).expect("a command line").command {
        Command::Transform(args) => args,
        other => panic!("{other:?}"),
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
            Ok(Cli {
                command: Command::Quickstart(args),
            }) => format!("quickstart example={} {:?}", args.example(), args.log),
            Ok(Cli {
                command: Command::Kafka(args),
            }) => format!("kafka {} {:?}", args.bind, args.log),
            Ok(other) => format!("{other:?}"),
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
    fn the_log_has_settings() {
        check(
            "millstream quickstart --no-example --fsync 50",
            "quickstart example=false LogArgs { dir: \"millstream-data\", kafka_port: 9092, fsync: Every(50ms) }",
        );
        check(
            "millstream kafka --bind ::1 --kafka-port 0 --dir /d --fsync always",
            "kafka ::1 LogArgs { dir: \"/d\", kafka_port: 0, fsync: Always }",
        );
        check("millstream kafka --fsync 0", "ValueValidation");
        check("millstream kafka --kafka-port 70000", "ValueValidation");
    }

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
