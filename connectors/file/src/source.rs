//! The lines of a file, or of standard input, become records.
//!
//! Lives here: the connector, its configuration, the task that follows the file.
//! Lives elsewhere: cutting bytes into lines (`lines`).
//!
//! Differences from Java's class, each on purpose: the position counts bytes (Java counts UTF-16 characters
//! but skips bytes when it goes on, so that it loses its place in text that is not ASCII; in ASCII text both
//! are the same); a directory fails at once (Java's task stays RUNNING and logs for ever); a truncated or
//! replaced file is said in the log.

use crate::lines::LineBuffer;
use bytes::{Bytes, BytesMut};
use connect_api::connector::{Connector, ConnectorHandle};
use connect_api::data::{Map, Schema, Str, Value};
use connect_api::source::SourceOffsetChange;
use connect_api::{
    ConnectError, ConnectRecord, ExactlyOnceSupport, Plugin, Result, SourceConnector, SourceOffset,
    SourcePartition, SourceRecord, SourceTask, SourceTaskContext, TopicName, async_trait,
};
use connect_config::{ConfigDef, ConfigErrors, Importance, Key, Properties, Validator};
use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tracing::{info, warn};

pub const FILE: Key<Option<String>> = Key::new("file");
pub const TOPIC: Key<String> = Key::new("topic");
pub const BATCH_SIZE: Key<i32> = Key::new("batch.size");

/// The field of the source partition.
const FILENAME_FIELD: &str = "filename";
/// The field of the source offset: bytes of the file up to and including the record's line end.
const POSITION_FIELD: &str = "position";

/// Bytes asked of the file at a time: few enough to stay in the processor's cache until they are on their
/// way. 64 KiB.
const READ_BYTES: usize = 64 * 1024;
/// Longest line. A record of that size passes no broker; the bound keeps a file without line ends from
/// filling the memory. 1 GiB.
const LINE_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// How long `poll` waits for the file to grow or to appear. Java waits a second; shorter is seen sooner.
const IDLE_WAIT: Duration = Duration::from_millis(100);
/// Chunks that the reader of standard input or a pipe may be ahead.
const PIPE_CHUNKS_MAX: usize = 4;

/// Says which file is read; has one task.
#[derive(Default)]
pub struct FileStreamSourceConnector {
    config: Properties,
}

/// The configuration, parsed.
struct FileStreamSourceConfig {
    /// `None`: standard input.
    file: Option<String>,
    topic: String,
    batch_size: usize,
}

pub fn config_def() -> ConfigDef {
    ConfigDef::new()
        .define(
            FILE.default_null()
                .importance(Importance::High)
                .doc("Source filename. If not specified, the standard input will be used"),
        )
        .define(
            TOPIC
                .required()
                .validator(Validator::non_empty())
                .importance(Importance::High)
                .doc("The topic to publish data to"),
        )
        .define(BATCH_SIZE.default(2000).importance(Importance::Low).doc(
            "The maximum number of records the source task can read from the file each time it is polled",
        ))
}

impl FileStreamSourceConfig {
    fn parse(properties: &Properties) -> Result<Self, ConfigErrors> {
        let parsed = config_def().parse(properties)?;
        Ok(Self {
            file: parsed.get(FILE).filter(|file| !file.is_empty()),
            topic: parsed.get(TOPIC),
            // Java's list grows without a bound when the size is below one; one at a time is what it means.
            batch_size: parsed.get(BATCH_SIZE).max(1) as usize,
        })
    }
}

impl Plugin for FileStreamSourceConnector {
    const CLASS: &'static str = "org.apache.kafka.connect.file.FileStreamSourceConnector";
}

#[async_trait]
impl Connector for FileStreamSourceConnector {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    async fn start(&mut self, _context: ConnectorHandle, config: &Properties) -> Result<()> {
        let parsed = FileStreamSourceConfig::parse(config)?;
        let file = parsed.file.as_deref().unwrap_or("standard input");
        info!(file, topic = parsed.topic, "file source connector started");
        self.config = config.clone();
        Ok(())
    }

    fn task_configs(&mut self, _max_tasks: usize) -> Result<Vec<Properties>> {
        Ok(vec![self.config.clone()])
    }

    async fn stop(&mut self) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl SourceConnector for FileStreamSourceConnector {
    fn task_class(&self) -> &'static str {
        "org.apache.kafka.connect.file.FileStreamSourceTask"
    }

    fn new_task(&self) -> Box<dyn SourceTask> {
        Box::<FileStreamSourceTask>::default()
    }

    fn exactly_once_support(&self, config: &Properties) -> Option<ExactlyOnceSupport> {
        Some(match config.get("file") {
            Some(file) if !file.is_empty() => ExactlyOnceSupport::Supported,
            _ => ExactlyOnceSupport::Unsupported,
        })
    }

    async fn alter_offsets(
        &self,
        config: &Properties,
        offsets: &[SourceOffsetChange],
    ) -> Result<bool> {
        if config.get("file").is_none_or(str::is_empty) {
            return Err(ConnectError::config(
                "Offsets cannot be modified if the 'file' configuration is unspecified. This is because stdin is used \
                 for input and offsets are not tracked.",
            ));
        }
        offsets.iter().try_for_each(check_offset_change)?;
        Ok(true)
    }
}

/// Pure: whether an offset that a user wants to write is one that the task can go on from.
fn check_offset_change(change: &SourceOffsetChange) -> Result<()> {
    // A removed offset may name any partition, also one of an older format.
    let Some(offset) = &change.offset else {
        return Ok(());
    };
    match offset.get_str(POSITION_FIELD) {
        None => {
            return Err(ConnectError::config(
                "Offset objects should either be null or contain the key 'position'",
            ));
        }
        Some(Value::Int64(position)) if *position < 0 => {
            return Err(ConnectError::config(
                "The value for the 'position' key in the offset should be a non-negative value",
            ));
        }
        Some(Value::Int64(_)) => {}
        Some(_) => {
            return Err(ConnectError::config(
                "The value for the 'position' key in the offset is expected to be a Long value",
            ));
        }
    }
    match &change.partition {
        None => Err(ConnectError::config("Partition objects cannot be null")),
        Some(partition) if partition.get_str(FILENAME_FIELD).is_none() => Err(
            ConnectError::config("Partition objects should contain the key 'filename'"),
        ),
        Some(_) => Ok(()),
    }
}

/// Follows one file as `tail -f` does, or reads standard input or a pipe to its end.
#[derive(Default)]
pub struct FileStreamSourceTask {
    running: Option<Running>,
}

/// What `start` has made.
struct Running {
    /// `None`: standard input.
    file: Option<String>,
    topic: TopicName,
    batch_size: usize,
    partition: SourcePartition,
    context: Arc<dyn SourceTaskContext>,
    input: Input,
    lines: LineBuffer,
    /// Bytes of the file up to and including the last line that was given out.
    position: u64,
    /// What was said about the file already, so that it is said once.
    said: Option<Trouble>,
}

enum Input {
    NotOpen,
    File(File),
    /// Standard input, a pipe or a device: read by a thread of its own, because reading may wait for ever.
    Pipe(mpsc::Receiver<std::io::Result<Bytes>>),
    /// A pipe that was read to its end.
    Ended,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Missing,
    Truncated,
    Replaced,
}

#[async_trait]
impl SourceTask for FileStreamSourceTask {
    async fn start(
        &mut self,
        context: Arc<dyn SourceTaskContext>,
        config: &Properties,
    ) -> Result<()> {
        let config = FileStreamSourceConfig::parse(config)?;
        let filename = config.file.as_deref().map_or(Value::Null, Value::from);
        self.running = Some(Running {
            file: config.file,
            topic: TopicName::from(config.topic).interned(),
            batch_size: config.batch_size,
            partition: SourcePartition::new(Map::from_iter([(
                Value::text(FILENAME_FIELD),
                filename,
            )])),
            context,
            input: Input::NotOpen,
            lines: LineBuffer::default(),
            position: 0,
            said: None,
        });
        Ok(())
    }

    async fn poll(&mut self) -> Result<Option<Vec<SourceRecord>>> {
        self.running
            .as_mut()
            .expect("the worker polls between start and stop")
            .poll()
            .await
    }

    async fn stop(&mut self) -> Result<()> {
        self.running = None;
        Ok(())
    }
}

impl Running {
    async fn poll(&mut self) -> Result<Option<Vec<SourceRecord>>> {
        if let Input::NotOpen = self.input
            && !self.open().await?
        {
            tokio::time::sleep(IDLE_WAIT).await;
            return Ok(None);
        }
        let mut records = Vec::new();
        loop {
            self.take_lines(&mut records);
            if records.len() >= self.batch_size {
                return Ok(Some(records));
            }
            if self.read_more(records.is_empty()).await? == 0 {
                break;
            }
        }
        if !records.is_empty() {
            return Ok(Some(records));
        }
        self.look_for_trouble();
        tokio::time::sleep(IDLE_WAIT).await;
        Ok(None)
    }

    /// Opens the input where the stored offset says. `false`: the file is not there yet.
    async fn open(&mut self) -> Result<bool> {
        let Some(path) = &self.file else {
            self.input = Input::Pipe(read_in_thread(std::io::stdin()));
            info!("reading standard input; its offsets are not tracked");
            return Ok(true);
        };
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if self.said != Some(Trouble::Missing) {
                    self.said = Some(Trouble::Missing);
                    warn!(
                        file = path,
                        "Couldn't find file for FileStreamSourceTask, waiting for it to be created"
                    );
                }
                return Ok(false);
            }
            Err(error) => return Err(cannot_open(path, error)),
        };
        if metadata.is_dir() {
            let message = "file is a directory; set \"file\" to the path of a file in it";
            return Err(ConnectError::config(message).with("file", path));
        }
        let kind = metadata.file_type();
        if kind.is_fifo() || kind.is_char_device() || kind.is_socket() {
            let path = path.clone();
            self.input = Input::Pipe(read_in_thread_from(path));
            return Ok(true);
        }
        let mut file = File::open(path).map_err(|error| cannot_open(path, error))?;
        self.position = self.stored_position().await?;
        if self.position > 0 {
            if self.position > metadata.len() {
                warn!(
                    file = path,
                    stored_position = self.position,
                    file_bytes = metadata.len(),
                    "the file is shorter than the stored position; waiting until it grows beyond. If it is a new file, \
                     reset the connector's offsets to read it from its start"
                );
                self.said = Some(Trouble::Truncated);
            }
            file.seek(SeekFrom::Start(self.position))
                .map_err(|error| cannot_open(path, error))?;
        }
        info!(file = path, position = self.position, "opened for reading");
        self.input = Input::File(file);
        Ok(true)
    }

    async fn stored_position(&self) -> Result<u64> {
        let offset = self
            .context
            .offset_storage_reader()
            .offset(&self.partition)
            .await?;
        match offset.as_ref().map(|offset| offset.get_str(POSITION_FIELD)) {
            None | Some(None | Some(Value::Null)) => Ok(0),
            Some(Some(Value::Int64(position))) if *position >= 0 => Ok(*position as u64),
            Some(Some(other)) => {
                let found = format!("{other:?}");
                Err(
                    ConnectError::config("Offset position is the incorrect type")
                        .with("found", found),
                )
            }
        }
    }

    fn take_lines(&mut self, records: &mut Vec<SourceRecord>) {
        let mut timestamp = None;
        let tracked = self.file.is_some();
        while records.len() < self.batch_size
            && let Some(line) = self.lines.next_line()
        {
            if records.capacity() == 0 {
                records.reserve(self.batch_size.min(READ_BYTES / 32));
            }
            self.position += line.consumed;
            let timestamp = *timestamp.get_or_insert_with(now_ms);
            let text = Str::from_utf8_lossy(line.text);
            let mut record = ConnectRecord::new(self.topic.clone(), Some(Schema::STRING), text);
            record.timestamp = Some(timestamp);
            records.push(SourceRecord {
                record,
                source_partition: Some(self.partition.clone()),
                source_offset: tracked
                    .then_some(SourceOffset::Position(POSITION_FIELD, self.position as i64)),
            });
        }
    }

    /// Reads once. Returns how many bytes came; 0 when there is nothing now.
    async fn read_more(&mut self, may_wait: bool) -> Result<usize> {
        let name = self.file.as_deref().unwrap_or("standard input");
        if self.lines.pending_bytes() > LINE_BYTES_MAX {
            let message =
                format!("a line is longer than {LINE_BYTES_MAX} bytes; is this a text file?");
            return Err(ConnectError::data(message)
                .with("file", name)
                .with("position", self.position));
        }
        let read = match &mut self.input {
            Input::NotOpen | Input::Ended => return Ok(0),
            Input::File(file) => {
                let space = self.lines.space(READ_BYTES);
                read_into(file, space).map_err(|error| cannot_read(name, self.position, error))?
            }
            Input::Pipe(chunks) => {
                let chunk = if may_wait {
                    match tokio::time::timeout(IDLE_WAIT, chunks.recv()).await {
                        Ok(chunk) => chunk,
                        Err(_) => return Ok(0),
                    }
                } else {
                    match chunks.try_recv() {
                        Ok(chunk) => Some(chunk),
                        Err(mpsc::error::TryRecvError::Empty) => return Ok(0),
                        Err(mpsc::error::TryRecvError::Disconnected) => None,
                    }
                };
                match chunk {
                    Some(Ok(bytes)) => {
                        self.lines.space(bytes.len()).extend_from_slice(&bytes);
                        bytes.len()
                    }
                    Some(Err(error)) => return Err(cannot_read(name, self.position, error)),
                    None => {
                        info!(file = name, "read to its end");
                        self.input = Input::Ended;
                        0
                    }
                }
            }
        };
        if read > 0 {
            self.lines.added();
            self.said = None;
        }
        Ok(read)
    }

    /// At the end of the file: says when it was cut off or when its name now means another file.
    fn look_for_trouble(&mut self) {
        let (Input::File(file), Some(path)) = (&self.input, &self.file) else {
            return;
        };
        let held = self.position + self.lines.pending_bytes() as u64;
        let trouble = match (file.metadata(), std::fs::metadata(path)) {
            (Ok(open), _) if open.len() < held => Some(Trouble::Truncated),
            (Ok(open), Ok(named)) if !same_file(&open, &named) => Some(Trouble::Replaced),
            (Ok(_), Err(error)) if error.kind() == ErrorKind::NotFound => Some(Trouble::Missing),
            _ => None,
        };
        if trouble == self.said || trouble.is_none() {
            return;
        }
        self.said = trouble;
        match trouble {
            Some(Trouble::Truncated) => warn!(
                file = path,
                position = held,
                "the file was truncated; lines are read again when it grows beyond the position. Restart the connector \
                 with its offsets reset to read it from its start"
            ),
            Some(Trouble::Replaced) => warn!(
                file = path,
                position = held,
                "the file was replaced by another of the same name; still following the old one. Restart the connector \
                 to read the new one"
            ),
            _ => warn!(
                file = path,
                position = held,
                "the file was removed; still following it"
            ),
        }
    }
}

fn same_file(a: &Metadata, b: &Metadata) -> bool {
    a.dev() == b.dev() && a.ino() == b.ino()
}

fn now_ms() -> i64 {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    since_epoch.as_millis() as i64
}

fn cannot_open(path: &str, error: std::io::Error) -> ConnectError {
    ConnectError::config("cannot open the file for reading")
        .with("file", path)
        .caused_by(error)
}

fn cannot_read(name: &str, position: u64, error: std::io::Error) -> ConnectError {
    ConnectError::fatal("cannot read the file")
        .with("file", name)
        .with("position", position)
        .caused_by(error)
}

/// Reads once into the spare room of the buffer.
fn read_into(file: &mut File, space: &mut BytesMut) -> std::io::Result<usize> {
    let filled = space.len();
    // Only as much as the file has: what is asked for has to be zeroed first.
    space.resize(filled + READ_BYTES, 0);
    let result = loop {
        match file.read(&mut space[filled..]) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => break result,
        }
    };
    space.truncate(filled + result.as_ref().copied().unwrap_or(0));
    result
}

fn read_in_thread(input: impl Read + Send + 'static) -> mpsc::Receiver<std::io::Result<Bytes>> {
    let (sender, receiver) = mpsc::channel(PIPE_CHUNKS_MAX);
    spawn_reader(move || forward(input, &sender));
    receiver
}

/// Opening a pipe waits for its writer, so the thread opens it.
fn read_in_thread_from(path: String) -> mpsc::Receiver<std::io::Result<Bytes>> {
    let (sender, receiver) = mpsc::channel(PIPE_CHUNKS_MAX);
    spawn_reader(move || match File::open(&path) {
        Ok(file) => forward(file, &sender),
        Err(error) => {
            // Nobody listens any more when the task has stopped.
            let _ = sender.blocking_send(Err(error));
        }
    });
    receiver
}

/// The thread ends with its input or when the task has stopped and the next bytes arrive. It cannot be
/// joined while it waits for standard input; it holds nothing that needs closing.
fn spawn_reader(work: impl FnOnce() + Send + 'static) {
    let spawned = std::thread::Builder::new()
        .name("file-source-reader".into())
        .spawn(work);
    if let Err(error) = spawned {
        warn!(%error, "cannot start the thread that reads the input");
    }
}

fn forward(mut input: impl Read, chunks: &mpsc::Sender<std::io::Result<Bytes>>) {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let chunk = match input.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => Ok(Bytes::copy_from_slice(&buffer[..read])),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let failed = chunk.is_err();
        if chunks.blocking_send(chunk).is_err() || failed {
            return;
        }
    }
}
