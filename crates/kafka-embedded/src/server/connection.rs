//! One connection, from its first byte to its last.
//!
//! Lives here: the loop that reads a frame, has it answered and writes the answer, strictly in
//! order; the limits of a frame.
//! Never here: an API.

use std::io;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use kafka_wire::frame::{LENGTH_BYTES, REQUEST_BYTES_MAX, length_of, split_frame};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tracing::{debug, warn};

use crate::api::{self, Peer};
use crate::broker::Broker;

/// A request has at least a key, a version and a correlation id.
const FRAME_BYTES_MIN: usize = 8;

/// Bytes read at once while no large frame is under way.
const SMALL_READ_BYTES: usize = 8 * 1024;

/// A frame gets so many bytes of memory before the first of them came; a larger one as they come.
const UNSEEN_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of later requests that are read while one waits, so that a closed connection is noticed.
const READ_AHEAD_BYTES: usize = 64 * 1024;

/// Why a connection ends before the client ends it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Closed {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("its first bytes {first_bytes:?} are no frame of {FRAME_BYTES_MIN} to {REQUEST_BYTES_MAX} bytes; {}", guess(*.first_bytes))]
    BadLength { first_bytes: [u8; LENGTH_BYTES] },
    #[error("{0}")]
    Request(#[from] api::Unanswerable),
}

fn guess(first_bytes: [u8; LENGTH_BYTES]) -> &'static str {
    match first_bytes {
        [b'G' | b'P' | b'H' | b'D' | b'O', b'A'..=b'Z', ..] => "this looks like HTTP",
        [0x16, 0x03, ..] => "this looks like TLS, which is not spoken here",
        _ => "is this a client of Kafka?",
    }
}

/// Answers until the client closes the connection. Never fails: what goes wrong is logged.
pub(crate) async fn serve<S>(stream: S, broker: Arc<Broker>, peer: Peer)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match answer_all(stream, &broker, &peer).await {
        Ok(()) => {}
        Err(Closed::Io(cause)) => debug!(client = peer.host, %cause, "connection lost"),
        Err(cause) => warn!(client = peer.host, "connection closed: {cause}"),
    }
}

async fn answer_all<S>(mut stream: S, broker: &Arc<Broker>, peer: &Peer) -> Result<(), Closed>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut read = BytesMut::new();
    let mut open = true;
    loop {
        let Some(frame) = next_frame(&mut read)? else {
            if !open {
                return Ok(());
            }
            make_room(&mut read);
            open = stream.read_buf(&mut read).await? > 0;
            continue;
        };
        let answer = {
            let mut answer = std::pin::pin!(api::answer(broker, peer, frame));
            loop {
                tokio::select! {
                    biased;
                    answer = &mut answer => break answer?,
                    more = read_ahead(&mut stream, &mut read), if open && read.len() < READ_AHEAD_BYTES => {
                        open = more? > 0;
                        if !open && read.is_empty() {
                            // Nobody waits for this answer any more.
                            return Ok(());
                        }
                    }
                }
            }
        };
        if let Some(bytes) = answer {
            stream.write_all(&bytes).await?;
            stream.flush().await?;
        }
    }
}

async fn read_ahead<S: AsyncRead + Unpin>(
    stream: &mut S,
    read: &mut BytesMut,
) -> io::Result<usize> {
    read.reserve(SMALL_READ_BYTES);
    stream.read_buf(read).await
}

fn next_frame(read: &mut BytesMut) -> Result<Option<Bytes>, Closed> {
    let Some(first_bytes) = read.first_chunk::<LENGTH_BYTES>().copied() else {
        return Ok(None);
    };
    let bad_length = Closed::BadLength { first_bytes };
    match length_of(first_bytes, REQUEST_BYTES_MAX) {
        Ok(length) if length >= FRAME_BYTES_MIN => {}
        _ => return Err(bad_length),
    }
    split_frame(read, REQUEST_BYTES_MAX).map_err(|_| bad_length)
}

/// For what is missing of the frame, but not for much more than has come of it.
fn make_room(read: &mut BytesMut) {
    let missing = match read.first_chunk::<LENGTH_BYTES>() {
        Some(prefix) => {
            let length = i32::from_be_bytes(*prefix).unsigned_abs() as usize;
            (LENGTH_BYTES + length).saturating_sub(read.len())
        }
        None => 0,
    };
    let most = UNSEEN_BYTES_MAX.max(read.len());
    read.reserve(missing.min(most).max(SMALL_READ_BYTES));
}
