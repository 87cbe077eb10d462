//! One connection that sends what it is told to, right or wrong.
//!
//! Lives here: requests of a chosen version written and their answers read, in order, over TCP.
//! Lives elsewhere: what checks usually ask (`client`).
//! Never here: a retry, a choice of version, our client. A client that repairs things hides what a
//! broker does.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, HeaderVersion, Request, StrBytes};
use kafka_wire::frame;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Longest wait for an answer. Joining a group may rightly take its rebalance timeout.
const ANSWER_MAX: Duration = Duration::from_secs(45);

/// What connections call themselves; DescribeGroups shows it.
pub const CLIENT_ID: &str = "broker-checks";

pub fn text(text: impl Into<String>) -> StrBytes {
    StrBytes::from_string(text.into())
}

/// A connection; answers are read in the order of the requests.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    correlation_id: i32,
    /// Of requests whose answers are still to be read, oldest first.
    awaited: std::collections::VecDeque<i32>,
}

impl Connection {
    pub async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("could not connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            correlation_id: 0,
            awaited: Default::default(),
        })
    }

    /// Sends and reads the answer. Fails: when answers to earlier requests are still to be read.
    pub async fn ask<R: Request>(&mut self, version: i16, request: &R) -> Result<R::Response> {
        self.send(version, request).await?;
        self.answer::<R>(version).await
    }

    /// Sends only; [`Connection::answer`] reads later.
    pub async fn send<R: Request>(&mut self, version: i16, request: &R) -> Result<()> {
        self.send_unanswered(version, request).await?;
        self.awaited.push_back(self.correlation_id);
        Ok(())
    }

    /// Sends what has no answer: Produce with acks 0.
    pub async fn send_unanswered<R: Request>(&mut self, version: i16, request: &R) -> Result<()> {
        let mut body = BytesMut::new();
        request
            .encode(&mut body, version)
            .with_context(|| format!("could not encode API {} version {version}", R::KEY))?;
        let flexible = R::header_version(version) >= 2;
        self.send_bytes(R::KEY, version, flexible, &body).await
    }

    /// Sends a body as it is, behind a header of its own: for versions that do not exist.
    pub async fn send_bytes(
        &mut self,
        api_key: i16,
        version: i16,
        flexible: bool,
        body: &[u8],
    ) -> Result<()> {
        self.correlation_id += 1;
        let mut frame = BytesMut::with_capacity(body.len() + 64);
        frame.put_i32(0);
        frame.put_i16(api_key);
        frame.put_i16(version);
        frame.put_i32(self.correlation_id);
        frame.put_i16(CLIENT_ID.len() as i16);
        frame.put_slice(CLIENT_ID.as_bytes());
        if flexible {
            frame.put_u8(0);
        }
        frame.put_slice(body);
        let length = (frame.len() - frame::LENGTH_BYTES) as i32;
        frame[..frame::LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
        self.stream.write_all(&frame).await?;
        Ok(())
    }

    /// The answer to the oldest request that has none yet.
    pub async fn answer<R: Request>(&mut self, version: i16) -> Result<R::Response> {
        let what = || format!("answer to API {} version {version}", R::KEY);
        let expected = self.awaited.pop_front().context("nothing was asked")?;
        let mut bytes = self.frame().await.with_context(what)?;
        let Some(mut bytes) = bytes.take() else {
            bail!("{}: the connection was closed", what());
        };
        ensure!(bytes.len() >= 4, "{}: it has no header", what());
        let found = bytes.get_i32();
        ensure!(
            found == expected,
            "{}: found correlation id {found}, expected {expected}",
            what()
        );
        if R::Response::header_version(version) >= 1 {
            ensure!(
                bytes.has_remaining() && bytes.get_u8() == 0,
                "{}: its header has tags",
                what()
            );
        }
        let response = R::Response::decode(&mut bytes, version).with_context(what)?;
        ensure!(
            bytes.is_empty(),
            "{}: {} bytes are left behind it",
            what(),
            bytes.len()
        );
        Ok(response)
    }

    /// The next frame, without its length; `None` when the other side closed the connection.
    pub async fn frame(&mut self) -> Result<Option<Bytes>> {
        match tokio::time::timeout(ANSWER_MAX, self.read_frame()).await {
            Ok(frame) => frame,
            Err(_) => bail!("no answer within {} s", ANSWER_MAX.as_secs()),
        }
    }

    async fn read_frame(&mut self) -> Result<Option<Bytes>> {
        let mut prefix = [0; frame::LENGTH_BYTES];
        match self.stream.read_exact(&mut prefix).await {
            Ok(_) => {}
            Err(error) if is_end(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let length = frame::length_of(prefix, frame::REQUEST_BYTES_MAX)?;
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await?;
        Ok(Some(Bytes::from(body)))
    }
}

fn is_end(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(
        error.kind(),
        UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe
    )
}
