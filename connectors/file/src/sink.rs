//! Records become the lines of a file, or of standard output.
//!
//! Lives here: the connector, its configuration, the task that appends.
//! Lives elsewhere: the text form of a value (`connect_api::data`).
//!
//! Differences from Java's class, each on purpose: Java ignores errors when it writes, so that a full disk
//! loses records; here the task keeps what could not be written, takes nothing more and commits nothing
//! until there is room again. A file that ends in the middle of a line, as a worker that was killed leaves
//! it, gets a line end first, so that the torn line does not spoil the next one.

use connect_api::connector::{Connector, ConnectorHandle};
use connect_api::data::append_java_text;
use connect_api::{
    ConnectError, Offsets, Plugin, Result, SinkConnector, SinkRecord, SinkTask, SinkTaskContext,
    TopicPartition, async_trait,
};
use connect_config::{ConfigDef, ConfigErrors, Importance, Key, Properties};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};

pub const FILE: Key<Option<String>> = Key::new("file");

/// Text is collected up to about this size before it is written. 256 KiB.
const WRITE_BYTES: usize = 256 * 1024;
/// How long to wait before a full disk is tried again.
const FULL_DISK_WAIT: Duration = Duration::from_secs(1);

/// Says which file is written. Several tasks append to the same file.
#[derive(Default)]
pub struct FileStreamSinkConnector {
    config: Properties,
}

pub fn config_def() -> ConfigDef {
    ConfigDef::new().define(
        FILE.default_null()
            .importance(Importance::High)
            .doc("Destination filename. If not specified, the standard output will be used"),
    )
}

/// `None`: standard output.
fn file_of(properties: &Properties) -> Result<Option<String>, ConfigErrors> {
    Ok(config_def()
        .parse(properties)?
        .get(FILE)
        .filter(|file| !file.is_empty()))
}

impl Plugin for FileStreamSinkConnector {
    const CLASS: &'static str = "org.apache.kafka.connect.file.FileStreamSinkConnector";
}

#[async_trait]
impl Connector for FileStreamSinkConnector {
    fn config_def(&self) -> ConfigDef {
        config_def()
    }

    async fn start(&mut self, _context: ConnectorHandle, config: &Properties) -> Result<()> {
        let file = file_of(config)?;
        info!(
            file = file.as_deref().unwrap_or("standard output"),
            "file sink connector started"
        );
        self.config = config.clone();
        Ok(())
    }

    fn task_configs(&mut self, max_tasks: usize) -> Result<Vec<Properties>> {
        Ok(vec![self.config.clone(); max_tasks])
    }

    async fn stop(&mut self) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl SinkConnector for FileStreamSinkConnector {
    fn task_class(&self) -> &'static str {
        "org.apache.kafka.connect.file.FileStreamSinkTask"
    }

    fn new_task(&self) -> Box<dyn SinkTask> {
        Box::<FileStreamSinkTask>::default()
    }

    /// The consumer's offsets are all that there is.
    async fn alter_offsets(
        &self,
        _config: &Properties,
        _offsets: &[(TopicPartition, Option<i64>)],
    ) -> Result<bool> {
        Ok(true)
    }
}

/// Appends a line per record.
#[derive(Default)]
pub struct FileStreamSinkTask {
    running: Option<Running>,
}

/// What `start` has made.
struct Running {
    output: Output,
    /// For messages.
    name: String,
    /// Lines that were taken and not written yet; more than one `put` only while the disk is full.
    text: Vec<u8>,
    /// How much of `text` was written already.
    written: usize,
    context: Arc<dyn SinkTaskContext>,
    disk: Disk,
}

enum Output {
    File(File),
    Stdout,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Disk {
    HasRoom,
    Full,
}

#[async_trait]
impl SinkTask for FileStreamSinkTask {
    async fn start(
        &mut self,
        context: Arc<dyn SinkTaskContext>,
        config: &Properties,
    ) -> Result<()> {
        let (output, name) = match file_of(config)? {
            Some(path) => {
                let file = open_at_line_start(&path).map_err(|error| {
                    let message =
                        format!("Couldn't find or create file '{path}' for FileStreamSinkTask");
                    ConnectError::config(message).caused_by(error)
                })?;
                (Output::File(file), path)
            }
            None => (Output::Stdout, "standard output".to_string()),
        };
        let text = Vec::with_capacity(WRITE_BYTES + WRITE_BYTES / 4);
        self.running = Some(Running {
            output,
            name,
            text,
            written: 0,
            context,
            disk: Disk::HasRoom,
        });
        Ok(())
    }

    async fn put(&mut self, records: &[SinkRecord]) -> Result<()> {
        let running = self.running();
        // What an earlier `put` took goes first. While it does not pass, these records stay with the worker.
        running
            .write_all()
            .map_err(|full| full.with("records_waiting", records.len()))?;
        for record in records {
            append_java_text(&record.value, &mut running.text);
            running.text.push(b'\n');
            if running.text.len() >= WRITE_BYTES {
                running.write_or_keep()?;
            }
        }
        running.write_or_keep()
    }

    async fn pre_commit(&mut self, offsets: Offsets) -> Result<Offsets> {
        let running = self.running();
        running.write_or_keep()?;
        // With lines left nothing is safe; what was committed before stays.
        Ok(if running.text.is_empty() {
            offsets
        } else {
            Offsets::new()
        })
    }

    async fn flush(&mut self, _offsets: &Offsets) -> Result<()> {
        self.running().write_all()
    }

    async fn stop(&mut self) -> Result<()> {
        match self.running.take() {
            Some(mut running) => running.write_all(),
            None => Ok(()),
        }
    }
}

impl FileStreamSinkTask {
    fn running(&mut self) -> &mut Running {
        self.running
            .as_mut()
            .expect("the worker calls between start and stop")
    }
}

impl Running {
    /// Writes all lines, or keeps them when the disk is full: they were taken, so they must not be offered
    /// again.
    fn write_or_keep(&mut self) -> Result<()> {
        match self.write_all() {
            Err(error) if error.is_retriable() => Ok(()),
            result => result,
        }
    }

    /// Fails: `Retriable` when there is no room; what is left stays here and is written first next time.
    fn write_all(&mut self) -> Result<()> {
        while self.written < self.text.len() {
            let rest = &self.text[self.written..];
            let result = match &mut self.output {
                Output::File(file) => file.write(rest),
                Output::Stdout => write_to_stdout(rest),
            };
            match result {
                Ok(0) => return Err(self.cannot_write(ErrorKind::WriteZero.into())),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.cannot_write(error)),
            }
        }
        self.text.clear();
        self.written = 0;
        if self.disk == Disk::Full {
            self.disk = Disk::HasRoom;
            info!(file = self.name, "there is room again; nothing was lost");
        }
        Ok(())
    }

    fn cannot_write(&mut self, error: std::io::Error) -> ConnectError {
        let waiting = self.text.len() - self.written;
        let no_room = matches!(
            error.kind(),
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
        );
        if !no_room {
            let message = "cannot write to the file";
            return ConnectError::fatal(message)
                .with("file", &self.name)
                .caused_by(error);
        }
        if self.disk == Disk::HasRoom {
            self.disk = Disk::Full;
            warn!(
                file = self.name,
                bytes_waiting = waiting,
                %error,
                "no room to write; waiting for it, offsets are not committed meanwhile"
            );
        }
        self.context.timeout(FULL_DISK_WAIT);
        ConnectError::retriable("no room to write to the file; make some and the task goes on")
            .with("file", &self.name)
            .with("bytes_waiting", waiting)
            .caused_by(error)
    }
}

/// Opens a file to append to. What a killed worker has left of a line is ended.
fn open_at_line_start(path: &str) -> std::io::Result<File> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.len() > 0 && !ends_with_line_end(path, metadata.len()) {
        warn!(
            file = path,
            "the file ends in the middle of a line; ending that line"
        );
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// A file that may be written but not read counts as whole.
fn ends_with_line_end(path: &str, length: u64) -> bool {
    let mut last = [0];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut last, length - 1));
    read.is_err() || last == *b"\n"
}

/// Standard output has a buffer of its own, which must not hide lines.
fn write_to_stdout(text: &[u8]) -> std::io::Result<usize> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text)?;
    stdout.flush()?;
    Ok(text.len())
}
