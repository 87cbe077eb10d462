//! Frames: a length, a header and a message, written and read with as little copying as possible.
//!
//! Lives here: encoding a request into segments that share the produced batches, and cutting
//! responses out of what a socket delivers.
//! Lives elsewhere: who waits for which response (`super`).
//! Never here: an `.await`.

use std::any::Any;
use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::buf::{Limit, UninitSlice};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ProduceRequest;
use kafka_protocol::protocol::Request;
use kafka_protocol::protocol::buf::ByteBufMut;

use crate::error::ClientError;

use super::versions::api_name;

/// Where the correlation id lies in an encoded request: after length, API key and version.
const CORRELATION_ID_AT: usize = 8;

/// Batches below this size are cheaper to copy than to write as a segment of their own.
const SHARED_BYTES_MIN: usize = 4 * 1024;

/// Bytes read at once while no large response is under way.
const SMALL_READ_BYTES: usize = 16 * 1024;

/// An encoded request. `rest` shares the record batches of a produce request.
#[derive(Debug)]
pub(super) struct Frame {
    head: BytesMut,
    rest: Vec<Bytes>,
}

impl Frame {
    /// Encodes header and message. The correlation id is filled in when the frame is written.
    pub(super) fn encode<R: Request + 'static>(
        request: &R,
        version: i16,
        client_id: &str,
    ) -> Result<Self, ClientError> {
        let client_id = &client_id[..client_id.floor_char_boundary(i16::MAX as usize)];
        let mut buffer = SegmentedBuf::new(shareable(request));
        buffer.put_i32(0);
        buffer.put_i16(R::KEY);
        buffer.put_i16(version);
        buffer.put_i32(0);
        buffer.put_i16(client_id.len() as i16);
        buffer.put_slice(client_id.as_bytes());
        if R::header_version(version) >= 2 {
            buffer.put_u8(0);
        }
        request.encode(&mut buffer, version).map_err(|cause| {
            ClientError::fatal(format!(
                "could not encode {} version {version}: {cause}",
                api_name(R::KEY)
            ))
        })?;
        buffer.finish(R::KEY)
    }

    /// Hands the frame to the writer's queue.
    pub(super) fn write_to(mut self, correlation_id: i32, queue: &mut WriteQueue) {
        self.head[CORRELATION_ID_AT..CORRELATION_ID_AT + 4]
            .copy_from_slice(&correlation_id.to_be_bytes());
        queue.push(self.head.freeze());
        for segment in self.rest {
            queue.push(segment);
        }
    }
}

/// The record batches of a produce request, in the order in which they are encoded.
fn shareable<R: Request + 'static>(request: &R) -> Vec<Bytes> {
    let Some(produce) = (request as &dyn Any).downcast_ref::<ProduceRequest>() else {
        return Vec::new();
    };
    let partitions = produce
        .topic_data
        .iter()
        .flat_map(|topic| &topic.partition_data);
    partitions
        .filter_map(|partition| partition.records.clone())
        .filter(|records| records.len() >= SHARED_BYTES_MIN)
        .collect()
}

/// A write buffer that recognises large shared slices and keeps a reference instead of a copy.
struct SegmentedBuf {
    head: Option<BytesMut>,
    rest: Vec<Bytes>,
    /// Bytes in `head` and `rest`.
    finished: usize,
    tail: BytesMut,
    shared: Vec<Bytes>,
    next_shared: usize,
}

impl SegmentedBuf {
    fn new(shared: Vec<Bytes>) -> Self {
        Self {
            head: None,
            rest: Vec::new(),
            finished: 0,
            tail: BytesMut::with_capacity(256),
            shared,
            next_shared: 0,
        }
    }

    fn is_next_shared(&self, slice: &[u8]) -> bool {
        let next = self.shared.get(self.next_shared);
        next.is_some_and(|next| {
            std::ptr::eq(next.as_ptr(), slice.as_ptr()) && next.len() == slice.len()
        })
    }

    fn close_tail(&mut self) {
        let tail = self.tail.split();
        self.finished += tail.len();
        match self.head {
            None => self.head = Some(tail),
            Some(_) => self.rest.push(tail.freeze()),
        }
    }

    fn finish(mut self, api_key: i16) -> Result<Frame, ClientError> {
        if !self.tail.is_empty() {
            self.close_tail();
        }
        let length = i32::try_from(self.finished - 4).map_err(|_| {
            ClientError::fatal(format!(
                "{} request of {} bytes does not fit into a frame",
                api_name(api_key),
                self.finished
            ))
        })?;
        let mut head = self.head.expect("a frame has at least a header");
        head[..4].copy_from_slice(&length.to_be_bytes());
        Ok(Frame {
            head,
            rest: self.rest,
        })
    }
}

// SAFETY: memory is handed out by `tail` alone, with the same arguments.
unsafe impl BufMut for SegmentedBuf {
    fn remaining_mut(&self) -> usize {
        self.tail.remaining_mut()
    }

    unsafe fn advance_mut(&mut self, count: usize) {
        // SAFETY: the caller wrote `count` bytes into `chunk_mut`, which is the chunk of `tail`.
        unsafe { self.tail.advance_mut(count) }
    }

    fn chunk_mut(&mut self) -> &mut UninitSlice {
        self.tail.chunk_mut()
    }

    fn put_slice(&mut self, slice: &[u8]) {
        if slice.len() < SHARED_BYTES_MIN || !self.is_next_shared(slice) {
            return self.tail.put_slice(slice);
        }
        self.close_tail();
        let shared = self.shared[self.next_shared].clone();
        self.next_shared += 1;
        self.finished += shared.len();
        self.rest.push(shared);
    }
}

impl ByteBufMut for SegmentedBuf {
    fn offset(&self) -> usize {
        self.finished + self.tail.len()
    }

    fn seek(&mut self, offset: usize) {
        self.tail.resize(offset - self.finished, 0);
    }

    fn range(&mut self, range: std::ops::Range<usize>) -> &mut [u8] {
        &mut self.tail[range.start - self.finished..range.end - self.finished]
    }
}

/// What is still to be written, in order. Gives the operating system many segments at once.
#[derive(Debug, Default)]
pub(super) struct WriteQueue {
    segments: VecDeque<Bytes>,
    remaining: usize,
    /// Bytes ever taken out.
    written: u64,
}

impl WriteQueue {
    fn push(&mut self, segment: Bytes) {
        self.remaining += segment.len();
        self.segments.push_back(segment);
    }

    /// Bytes written since the connection was opened.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// What [`Self::written`] will be once all that is queued now has been written.
    pub(super) fn end(&self) -> u64 {
        self.written + self.remaining as u64
    }
}

impl Buf for WriteQueue {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.segments
            .front()
            .map_or(&[], |segment| segment.as_ref())
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut count = 0;
        for (slice, segment) in slices.iter_mut().zip(&self.segments) {
            *slice = IoSlice::new(segment);
            count += 1;
        }
        count
    }

    fn advance(&mut self, mut count: usize) {
        self.remaining -= count;
        self.written += count as u64;
        while count > 0 {
            let front = self
                .segments
                .front_mut()
                .expect("never advanced past the end");
            if count < front.len() {
                return front.advance(count);
            }
            count -= front.len();
            self.segments.pop_front();
        }
    }
}

/// A length that no Kafka broker sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadLength {
    first_bytes: [u8; 4],
    limit: usize,
}

impl std::fmt::Display for BadLength {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.first_bytes {
            [b'H', b'T', b'T', b'P'] => f.write_str("it speaks HTTP"),
            // A TLS record: alert or handshake, major version 3.
            [0x15 | 0x16, 0x03, ..] => {
                f.write_str("it speaks TLS; set security.protocol=SSL or SASL_SSL")
            }
            bytes => write!(
                f,
                "frame of {} bytes, between 4 and {} are possible",
                i32::from_be_bytes(bytes),
                self.limit
            ),
        }
    }
}

/// Cuts responses out of a stream. Small ones share a buffer; a large one gets a buffer of exactly
/// its size and is read straight into it, so that its record batches are slices of that buffer.
#[derive(Debug)]
pub(super) struct FrameReader {
    small: BytesMut,
    large: Option<BytesMut>,
    /// Bytes that `large` still lacks.
    missing: usize,
    limit: usize,
}

impl FrameReader {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            small: BytesMut::new(),
            large: None,
            missing: 0,
            limit,
        }
    }

    /// Where the next bytes go.
    pub(super) fn spare(&mut self) -> Limit<&mut BytesMut> {
        match &mut self.large {
            Some(large) => large.limit(self.missing),
            None => {
                self.small.reserve(SMALL_READ_BYTES);
                (&mut self.small).limit(SMALL_READ_BYTES)
            }
        }
    }

    /// `count` bytes have been put into [`Self::spare`].
    pub(super) fn filled(&mut self, count: usize) {
        if self.large.is_some() {
            self.missing -= count;
        }
    }

    /// The next complete frame, without its length.
    pub(super) fn next_frame(&mut self) -> Result<Option<Bytes>, BadLength> {
        if self.large.is_some() {
            if self.missing > 0 {
                return Ok(None);
            }
            return Ok(self.large.take().map(BytesMut::freeze));
        }
        let Some(first_bytes) = self.small.first_chunk::<4>().copied() else {
            return Ok(None);
        };
        let length = usize::try_from(i32::from_be_bytes(first_bytes))
            .ok()
            .filter(|length| (4..=self.limit).contains(length))
            .ok_or(BadLength {
                first_bytes,
                limit: self.limit,
            })?;
        if self.small.len() >= 4 + length {
            self.small.advance(4);
            return Ok(Some(self.small.split_to(length).freeze()));
        }
        if length > SMALL_READ_BYTES - 4 {
            let mut large = BytesMut::with_capacity(length);
            large.extend_from_slice(&self.small[4..]);
            self.missing = length - large.len();
            self.small.clear();
            self.large = Some(large);
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
    use kafka_protocol::messages::{ApiVersionsRequest, RequestHeader, TopicName};
    use kafka_protocol::protocol::{Decodable, HeaderVersion, StrBytes};

    fn read_all(
        reader: &mut FrameReader,
        mut input: &[u8],
        step: usize,
    ) -> Result<Vec<Bytes>, BadLength> {
        let mut frames = Vec::new();
        while !input.is_empty() {
            let mut spare = reader.spare();
            let count = step.min(input.len()).min(spare.remaining_mut());
            spare.put_slice(&input[..count]);
            reader.filled(count);
            input.advance(count);
            while let Some(frame) = reader.next_frame()? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    #[test]
    fn frames_are_cut_whatever_the_pieces() {
        let bodies = [
            vec![1; 4],
            vec![2; 100],
            vec![3; 50_000],
            vec![4; 7],
            vec![5; 16_380],
            vec![6; 16_381],
        ];
        let mut input = Vec::new();
        for body in &bodies {
            input.extend_from_slice(&(body.len() as i32).to_be_bytes());
            input.extend_from_slice(body);
        }
        for step in [1, 3, 5, 1000, 16_384, 1_000_000] {
            let frames =
                read_all(&mut FrameReader::new(100_000), &input, step).expect("good lengths");
            assert_eq!(frames, bodies, "pieces of {step} bytes");
        }
    }

    #[test]
    fn other_servers_are_recognised_by_their_first_bytes() {
        let rows: [(&[u8], &str); 4] = [
            (b"HTTP/1.1 400 Bad Request", "it speaks HTTP"),
            (
                &[0x15, 3, 3, 0, 2, 2, 10],
                "it speaks TLS; set security.protocol=SSL or SASL_SSL",
            ),
            (
                &[0, 0, 0, 3, 1],
                "frame of 3 bytes, between 4 and 1000 are possible",
            ),
            (
                b"SSH-2.0-",
                "frame of 1397966893 bytes, between 4 and 1000 are possible",
            ),
        ];
        for (input, expected) in rows {
            let error = read_all(&mut FrameReader::new(1000), input, 100).expect_err("bad length");
            assert_eq!(error.to_string(), expected);
        }
    }

    fn bytes_of(frame: Frame) -> (Bytes, usize) {
        let mut queue = WriteQueue::default();
        frame.write_to(77, &mut queue);
        let segments = queue.segments.len();
        (queue.copy_to_bytes(queue.remaining()), segments)
    }

    #[test]
    fn large_batches_are_written_without_a_copy() {
        let large = Bytes::from(vec![7; SHARED_BYTES_MIN]);
        let small = Bytes::from(vec![8; 10]);
        let partitions = [&large, &small, &large]
            .map(|records| PartitionProduceData::default().with_records(Some(records.clone())));
        let request = ProduceRequest::default()
            .with_transactional_id(None)
            .with_topic_data(vec![
                TopicProduceData::default()
                    .with_name(TopicName(StrBytes::from_static_str("t")))
                    .with_partition_data(partitions.to_vec()),
            ]);
        // Header, batch, header with small batch, batch, and from version 9 on empty tags at the end.
        for (version, expected) in [(7, 4), (8, 4), (9, 5), (11, 5)] {
            let frame = Frame::encode(&request, version, "me").expect("encodes");
            let (mut bytes, segments) = bytes_of(frame);
            assert_eq!(segments, expected, "version {version}");
            assert_eq!(bytes.get_i32() as usize, bytes.len());
            let header = RequestHeader::decode(&mut bytes, ProduceRequest::header_version(version))
                .expect("header");
            assert_eq!(
                (header.correlation_id, header.client_id.as_deref()),
                (77, Some("me"))
            );
            let decoded = ProduceRequest::decode(&mut bytes, version).expect("decodes");
            assert_eq!((decoded, bytes.len()), (request.clone(), 0));
        }
    }

    #[test]
    fn a_field_that_the_version_lacks_is_an_error_with_the_name_of_the_request() {
        let request = kafka_protocol::messages::FindCoordinatorRequest::default()
            .with_coordinator_keys(vec![StrBytes::from_static_str("g")]);
        let error = Frame::encode(&request, 3, "me").expect_err("keys need version 4");
        assert!(
            error
                .to_string()
                .starts_with("could not encode FindCoordinator version 3: "),
            "{error}"
        );
        Frame::encode(&ApiVersionsRequest::default(), 4, "me").expect("encodes");
    }
}
