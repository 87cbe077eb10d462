//! FileStream source and sink with a worker's side that is played by the test.
#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use connect_api::connector::{Connector, ConnectorContext};
use connect_api::data::{Map, Schema, Value};
use connect_api::source::SourceOffsetChange;
use connect_api::{
    ConnectError, ConnectRecord, ErrantRecordReporter, ErrorKind, OffsetStorageReader, Offsets,
    Result, SinkConnector, SinkRecord, SinkTask, SinkTaskContext, SourceConnector, SourceOffset,
    SourcePartition, SourceRecord, SourceTask, SourceTaskContext, TimestampType, TopicPartition,
    async_trait,
};
use connect_config::Properties;
use connector_file::{FileStreamSinkConnector, FileStreamSourceConnector, FileStreamSourceTask};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Answers with one stored offset, or none.
struct SourceContext {
    stored: Option<Map>,
}

impl SourceTaskContext for SourceContext {
    fn configs(&self) -> Properties {
        Properties::new()
    }

    fn offset_storage_reader(&self) -> Arc<dyn OffsetStorageReader> {
        Arc::new(SourceContext {
            stored: self.stored.clone(),
        })
    }
}

#[async_trait]
impl OffsetStorageReader for SourceContext {
    async fn offsets(&self, partitions: &[SourcePartition]) -> Result<Vec<Option<Map>>> {
        Ok(vec![self.stored.clone(); partitions.len()])
    }
}

async fn source(
    file: &Path,
    more: &[(&str, &str)],
    position: Option<Value>,
) -> Box<dyn SourceTask> {
    let mut config = Properties::from_iter([("topic", "t"), ("file", file.to_str().unwrap())]);
    more.iter()
        .for_each(|(key, value)| config.set(*key, *value));
    let stored = position.map(|position| Map::from_iter([(Value::text("position"), position)]));
    let mut task: Box<dyn SourceTask> = Box::<FileStreamSourceTask>::default();
    task.start(Arc::new(SourceContext { stored }), &config)
        .await
        .unwrap();
    task
}

fn print(records: Result<Option<Vec<SourceRecord>>>) -> String {
    let text = |record: SourceRecord| {
        let Some(SourceOffset::Position("position", position)) = record.source_offset else {
            panic!("a position")
        };
        format!("{}@{position}", record.value.as_str().expect("a text"))
    };
    match records {
        Ok(records) => records
            .unwrap_or_default()
            .into_iter()
            .map(text)
            .collect::<Vec<_>>()
            .join(" "),
        Err(error) => format!("{error:?}"),
    }
}

/// Polls until nothing comes; a poll a line.
async fn drain(task: &mut dyn SourceTask) -> Vec<String> {
    let mut polls = Vec::new();
    loop {
        let poll = print(task.poll().await);
        if poll.is_empty() {
            return polls;
        }
        polls.push(poll);
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_holds_at_most_batch_size_lines() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in");
    fs::write(&file, "a\nb\nc\nd\ne\n").unwrap();
    let mut task = source(&file, &[("batch.size", "2")], None).await;
    assert_eq!(drain(&mut *task).await, ["a@2 b@4", "c@6 d@8", "e@10"]);
}

#[tokio::test(start_paused = true)]
async fn a_growing_file_is_followed_and_half_lines_wait() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in");
    let mut task = source(&file, &[], None).await;
    assert_eq!(print(task.poll().await), "", "the file is not there yet");
    fs::write(&file, "one\ntw").unwrap();
    assert_eq!(drain(&mut *task).await, ["one@4"]);
    fs::write(&file, "one\ntwo\r\n\nthree").unwrap();
    assert_eq!(drain(&mut *task).await, ["two@9 @10"]);
}

#[tokio::test(start_paused = true)]
async fn it_goes_on_where_the_stored_offset_says() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in");
    fs::write(&file, "ä\nb\n").unwrap();
    let mut task = source(&file, &[], Some(Value::Int64(3))).await;
    assert_eq!(drain(&mut *task).await, ["b@5"]);
    let mut beyond = source(&file, &[], Some(Value::Int64(7))).await;
    assert_eq!(drain(&mut *beyond).await, [""; 0]);
    fs::write(&file, "ä\nb\nc\nd\n").unwrap();
    assert_eq!(drain(&mut *beyond).await, ["d@9"]);
    let mut wrong = source(&file, &[], Some(Value::from("7"))).await;
    let error = print(wrong.poll().await);
    assert!(
        error.starts_with("Config: Offset position is the incorrect type"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut task = source(folder.path(), &[], None).await;
    let error = print(task.poll().await);
    assert!(error.starts_with("Config: file is a directory"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_text_become_replacement_characters() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in");
    fs::write(&file, b"a\xFFb\n").unwrap();
    let mut task = source(&file, &[], None).await;
    assert_eq!(drain(&mut *task).await, ["a\u{FFFD}b@4"]);
}

#[tokio::test(start_paused = true)]
async fn lines_longer_than_any_buffer_come_whole() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in");
    let long = "x".repeat(3_000_000);
    fs::write(&file, format!("{long}\nshort\n")).unwrap();
    let mut task = source(&file, &[], None).await;
    assert_eq!(
        drain(&mut *task).await.join(" "),
        format!("{long}@3000001 short@3000007")
    );
}

struct NoContext;

impl ConnectorContext for NoContext {
    fn request_task_reconfiguration(&self) {}
    fn raise_error(&self, error: ConnectError) {
        panic!("{error}");
    }
}

#[tokio::test]
async fn a_source_has_one_task_and_a_sink_as_many_as_asked() {
    let config = Properties::from_iter([("topic", "t"), ("file", "f")]);
    let mut source = FileStreamSourceConnector::default();
    source.start(Arc::new(NoContext), &config).await.unwrap();
    assert_eq!(
        source.task_configs(3).unwrap(),
        std::slice::from_ref(&config)
    );
    let mut sink = FileStreamSinkConnector::default();
    sink.start(Arc::new(NoContext), &config).await.unwrap();
    assert_eq!(sink.task_configs(3).unwrap().len(), 3);
    let error = FileStreamSourceConnector::default()
        .start(
            Arc::new(NoContext),
            &Properties::from_iter([("batch.size", "x")]),
        )
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = error.to_string();
    assert!(
        text.contains("\"topic\"") && text.contains("Not a number of type INT"),
        "{text}"
    );
}

#[tokio::test]
async fn offsets_that_a_user_writes_are_checked() {
    async fn check(
        file: Option<&str>,
        partition: Option<&[(&'static str, Value)]>,
        offset: Option<Value>,
        expected: &str,
    ) {
        let config: Properties = file.map(|file| ("file", file)).into_iter().collect();
        let change = SourceOffsetChange {
            partition: partition.map(|fields| {
                fields
                    .iter()
                    .map(|(k, v)| (Value::text(k), v.clone()))
                    .collect()
            }),
            offset: offset.map(|position| Map::from_iter([(Value::text("position"), position)])),
        };
        let result = FileStreamSourceConnector::default()
            .alter_offsets(&config, &[change])
            .await;
        let actual = result.map_or_else(
            |error| error.message().to_string(),
            |answer| answer.to_string(),
        );
        assert_eq!(actual, expected);
    }
    let here: &[(&'static str, Value)] = &[("filename", Value::text("f"))];
    check(Some("f"), Some(here), Some(Value::Int64(5)), "true").await;
    check(Some("f"), Some(here), None, "true").await;
    let unspecified = "Offsets cannot be modified if the 'file' configuration is unspecified. This is because stdin is used \
                       for input and offsets are not tracked.";
    check(None, Some(here), Some(Value::Int64(5)), unspecified).await;
    let negative = "The value for the 'position' key in the offset should be a non-negative value";
    check(Some("f"), Some(here), Some(Value::Int64(-1)), negative).await;
    let wrong = "The value for the 'position' key in the offset is expected to be a Long value";
    check(Some("f"), Some(here), Some(Value::from("5")), wrong).await;
    check(
        Some("f"),
        None,
        Some(Value::Int64(5)),
        "Partition objects cannot be null",
    )
    .await;
    check(
        Some("f"),
        Some(&[]),
        Some(Value::Int64(5)),
        "Partition objects should contain the key 'filename'",
    )
    .await;
}

struct SinkContext;

impl SinkTaskContext for SinkContext {
    fn configs(&self) -> Properties {
        Properties::new()
    }
    fn offset(&self, _partition: TopicPartition, _offset: i64) {}
    fn timeout(&self, _timeout: Duration) {}
    fn assignment(&self) -> Vec<TopicPartition> {
        Vec::new()
    }
    fn pause(&self, _partitions: &[TopicPartition]) -> Result<()> {
        Ok(())
    }
    fn resume(&self, _partitions: &[TopicPartition]) -> Result<()> {
        Ok(())
    }
    fn request_commit(&self) {}
    fn errant_record_reporter(&self) -> Option<Arc<dyn ErrantRecordReporter>> {
        None
    }
}

fn sink_record(value: Value) -> SinkRecord {
    let record = ConnectRecord::new("t", Some(Schema::OPTIONAL_STRING), value);
    SinkRecord {
        record,
        kafka_offset: 0,
        timestamp_type: TimestampType::NoTimestampType,
        original: None,
    }
}

async fn sink(file: &Path) -> Box<dyn SinkTask> {
    let mut task = FileStreamSinkConnector::default().new_task();
    let config = Properties::from_iter([("file", file.to_str().unwrap())]);
    task.start(Arc::new(SinkContext), &config).await.unwrap();
    task
}

#[tokio::test]
async fn a_record_is_a_line_of_its_java_text() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out");
    let mut task = sink(&file).await;
    let map = Map::from_iter([
        (Value::text("a"), Value::Int64(1)),
        (Value::text("b"), Value::Null),
    ]);
    let records = [
        Value::from("text"),
        Value::Null,
        Value::Map(map),
        Value::Float64(1e10),
        Value::from(""),
    ];
    task.put(&records.map(sink_record)).await.unwrap();
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        "text\nnull\n{a=1, b=null}\n1.0E10\n\n",
        "there before flush"
    );
    task.stop().await.unwrap();
}

#[tokio::test]
async fn a_line_that_a_killed_worker_left_half_written_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out");
    fs::write(&file, "whole\nhal").unwrap();
    let mut task = sink(&file).await;
    task.put(&[sink_record(Value::from("next"))]).await.unwrap();
    task.stop().await.unwrap();
    let mut task = sink(&file).await;
    task.put(&[sink_record(Value::from("last"))]).await.unwrap();
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        "whole\nhal\nnext\nlast\n"
    );
}

/// `/dev/full` refuses every write with "no space left on device".
#[tokio::test]
async fn a_full_disk_commits_nothing_and_takes_no_more() {
    let mut task = sink(Path::new("/dev/full")).await;
    let records = [sink_record(Value::from("kept"))];
    task.put(&records).await.unwrap();
    let offsets = Offsets::from([(TopicPartition::new("t", 0), 1)]);
    assert_eq!(
        task.pre_commit(offsets).await.unwrap(),
        Offsets::new(),
        "what lies here must not be committed"
    );
    let error = task.put(&records).await.unwrap_err();
    assert!(error.is_retriable(), "{error}");
    assert!(
        error.to_string().contains("no room to write to the file"),
        "{error}"
    );
}

#[tokio::test]
async fn a_file_that_cannot_be_made_is_an_error() {
    let mut task = FileStreamSinkConnector::default().new_task();
    let config = Properties::from_iter([("file", "/no/such/folder/out")]);
    let error = task
        .start(Arc::new(SinkContext), &config)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(
        error.message(),
        "Couldn't find or create file '/no/such/folder/out' for FileStreamSinkTask"
    );
}
