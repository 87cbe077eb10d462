//! The four Kafka requests that the benchmark needs, written by hand.
//!
//! Lives here: a blocking connection to one broker; create and delete a topic, where it ends, what it holds.
//! Never here: our own client. What is measured does not count its own records.
//!
//! Versions are the oldest that brokers 3.x and 4.x both speak: none has compact fields.
//! Source: the message definitions of Apache Kafka, `clients/src/main/resources/common/message`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

/// Longest wait for one answer of a broker on the same machine, which may be busy.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Most bytes of records in one answer.
const FETCH_BYTES: i32 = 8 * 1024 * 1024;

const FETCH: (i16, i16) = (1, 4);
const LIST_OFFSETS: (i16, i16) = (2, 1);
const CREATE_TOPICS: (i16, i16) = (19, 2);
const DELETE_TOPICS: (i16, i16) = (20, 1);

/// Errors by which a broker says that it has not heard of a new topic yet.
const NOT_YET: [i16; 3] = [3, 5, 6];

pub struct BrokerConnection {
    stream: TcpStream,
    correlation: i32,
}

impl BrokerConnection {
    /// `address` as `127.0.0.1:9092`.
    pub fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)
            .with_context(|| format!("could not connect to the broker at {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        Ok(Self {
            stream,
            correlation: 0,
        })
    }

    /// A topic of one partition, and returns when the partition can be asked for its end.
    pub fn create_topic(&mut self, topic: &str) -> Result<()> {
        self.create_topic_with(topic, &[])
    }

    /// The same with settings of the topic.
    pub fn create_topic_with(&mut self, topic: &str, settings: &[(&str, &str)]) -> Result<()> {
        let mut body = Body::new();
        body.i32(1).string(topic).i32(1).i16(1).i32(0);
        body.i32(i32::try_from(settings.len())?);
        for (name, value) in settings {
            body.string(name).string(value);
        }
        body.i32(ANSWER_MAX.as_millis() as i32).i8(0);
        let answer = self.call(CREATE_TOPICS, &body)?;
        let mut answer = Answer::new(&answer);
        answer.skip(4)?; // throttle time
        ensure!(
            answer.i32()? == 1,
            "the broker answered for another number of topics"
        );
        answer.string()?;
        match answer.i16()? {
            0 => (),
            code => bail!(
                "could not create the topic {topic}: error {code} {}",
                answer.string()?
            ),
        }
        while self.try_end_offset(topic)?.is_none() {
            // Another process, reached over TCP: there is nothing to wait on but its answer.
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    pub fn delete_topic(&mut self, topic: &str) -> Result<()> {
        let mut body = Body::new();
        body.i32(1).string(topic).i32(ANSWER_MAX.as_millis() as i32);
        let answer = self.call(DELETE_TOPICS, &body)?;
        let mut answer = Answer::new(&answer);
        answer.skip(4)?; // throttle time
        ensure!(
            answer.i32()? == 1,
            "the broker answered for another number of topics"
        );
        answer.string()?;
        match answer.i16()? {
            0 => Ok(()),
            code => bail!("could not delete the topic {topic}: error {code}"),
        }
    }

    /// The offset after the last record of partition 0. Without transactions and from the first
    /// record on, this is the number of records.
    pub fn end_offset(&mut self, topic: &str) -> Result<u64> {
        self.try_end_offset(topic)?
            .with_context(|| format!("the broker does not know the topic {topic}"))
    }

    /// The same; `None`: the topic does not exist, or not yet.
    pub fn try_end_offset(&mut self, topic: &str) -> Result<Option<u64>> {
        let mut body = Body::new();
        body.i32(-1).i32(1).string(topic).i32(1).i32(0).i64(-1);
        let answer = self.call(LIST_OFFSETS, &body)?;
        let mut answer = Answer::new(&answer);
        answer.skip(4)?; // count of topics
        answer.string()?;
        answer.skip(8)?; // count of partitions, partition
        match answer.i16()? {
            0 => (),
            code if NOT_YET.contains(&code) => return Ok(None),
            code => bail!("could not ask for the end of {topic}: error {code}"),
        }
        answer.skip(8)?; // timestamp
        Ok(Some(u64::try_from(answer.i64()?)?))
    }

    /// Record batches of partition 0 from the one with `offset` on; the last may be cut off.
    pub fn fetch(&mut self, topic: &str, offset: u64) -> Result<Vec<u8>> {
        let mut body = Body::new();
        body.i32(-1).i32(500).i32(1).i32(FETCH_BYTES).i8(0);
        body.i32(1).string(topic).i32(1).i32(0);
        body.i64(i64::try_from(offset)?).i32(FETCH_BYTES);
        let bytes = self.call(FETCH, &body)?;
        let mut answer = Answer::new(&bytes);
        answer.skip(8)?; // throttle time, count of topics
        answer.string()?;
        answer.skip(8)?; // count of partitions, partition
        match answer.i16()? {
            0 => (),
            code => bail!("could not fetch {topic} from offset {offset}: error {code}"),
        }
        answer.skip(16)?; // high watermark, last stable offset
        let aborted = answer.i32()?.max(0);
        answer.skip(16 * usize::try_from(aborted)?)?;
        let length = usize::try_from(answer.i32()?.max(0))?;
        Ok(answer.take(length)?.to_vec())
    }

    /// Sends a request and returns the body of its answer.
    fn call(&mut self, (key, version): (i16, i16), body: &Body) -> Result<Vec<u8>> {
        self.correlation += 1;
        let mut frame = Body::new();
        frame
            .i16(key)
            .i16(version)
            .i32(self.correlation)
            .string("bench");
        frame.0.extend_from_slice(&body.0);
        self.stream
            .write_all(&u32::try_from(frame.0.len())?.to_be_bytes())?;
        self.stream.write_all(&frame.0)?;
        let mut head = [0; 8];
        self.stream
            .read_exact(&mut head)
            .with_context(|| format!("the broker did not answer a request of kind {key}"))?;
        let mut head = Answer::new(&head);
        let (length, correlation) = (head.i32()?, head.i32()?);
        ensure!(
            correlation == self.correlation,
            "the broker answered another request"
        );
        let length = usize::try_from(length)?;
        let mut answer = vec![0; length.checked_sub(4).context("the answer has no header")?];
        self.stream.read_exact(&mut answer)?;
        Ok(answer)
    }
}

/// A request being written.
struct Body(Vec<u8>);

impl Body {
    fn new() -> Self {
        Self(Vec::with_capacity(128))
    }

    fn i8(&mut self, value: i8) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    fn i16(&mut self, value: i16) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    fn i32(&mut self, value: i32) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    fn i64(&mut self, value: i64) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    fn string(&mut self, value: &str) -> &mut Self {
        let length = i16::try_from(value.len()).expect("names of topics are short");
        self.i16(length);
        self.0.extend_from_slice(value.as_bytes());
        self
    }
}

/// An answer being read.
struct Answer<'a>(&'a [u8]);

impl<'a> Answer<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .context("the answer ends too soon")?;
        self.0 = rest;
        Ok(taken)
    }

    fn skip(&mut self, length: usize) -> Result<()> {
        self.take(length).map(|_| ())
    }

    fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes(self.take(2)?.try_into()?))
    }

    fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.take(4)?.try_into()?))
    }

    fn i64(&mut self) -> Result<i64> {
        Ok(i64::from_be_bytes(self.take(8)?.try_into()?))
    }

    /// Null reads as empty.
    fn string(&mut self) -> Result<String> {
        let length = usize::try_from(self.i16()?.max(0))?;
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_big_endian_and_strings_say_their_length() {
        let mut body = Body::new();
        body.i8(1).i16(2).i32(3).i64(-1).string("ab");
        let expected = [
            &[1][..],
            &[0, 2],
            &[0, 0, 0, 3],
            &[0xff; 8],
            &[0, 2, b'a', b'b'],
        ]
        .concat();
        assert_eq!(body.0, expected);
    }

    #[test]
    fn answers_are_read_in_order_and_not_past_their_end() {
        let mut answer = Answer::new(&[0, 7, 0, 2, b'a', b'b', 0xff, 0xff, 1]);
        assert_eq!(answer.i16().ok(), Some(7));
        assert_eq!(answer.string().ok().as_deref(), Some("ab"));
        assert_eq!(answer.string().ok().as_deref(), Some(""));
        assert!(answer.i16().is_err());
    }
}
