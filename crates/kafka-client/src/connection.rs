//! One connection to one broker: requests out in order, responses matched in order.
//!
//! Lives here: [`Connection`], its I/O task, request timeouts and idle close.
//! Lives elsewhere: encoding and cutting of frames (`frame`), counts that are not believed (`body`),
//! ApiVersions (`handshake`), the choice of versions (`versions`), when to connect again (`crate::client`).
//! Never here: a retry. A request is sent once or not at all, and its error says so.
//!
//! A response of any size is read into one buffer and handed over once; it is decoded by the task
//! that waits for it, and the record batches of a fetch response are slices of that buffer.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::messages::{ProduceRequest, ProduceResponse, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;
use tracing::debug;

use crate::dial::Stream;
use crate::error::{ClientError, KafkaErrorCode};
use crate::settings::ConnectionSettings;

mod body;
mod frame;
mod handshake;
mod versions;

pub use handshake::{Authenticate, Handshake, NoAuthentication};
pub use versions::{APIS, Api, BrokerVersions, api_name};

use frame::{Frame, FrameReader, WriteQueue};

/// Most requests that wait on one connection for being written or answered.
const REQUESTS_MAX: usize = 1024;

/// How a connection behaves. One for all connections of a client.
#[derive(Debug, Clone)]
pub struct ConnectionOptions {
    pub client_id: String,
    /// Close after this long without traffic. `None`: never.
    pub max_idle: Option<Duration>,
    /// Must exceed what a fetch may return.
    pub response_bytes_max: usize,
    /// How long the other side may take to answer ApiVersions, the first thing that is said.
    pub negotiate_within: Duration,
}

impl ConnectionOptions {
    pub fn new(settings: &ConnectionSettings, negotiate_within: Duration) -> Self {
        Self {
            client_id: settings.client_id.clone(),
            max_idle: settings.connections_max_idle,
            // A frame's length is an i32.
            response_bytes_max: settings.response_bytes_max.min(i32::MAX as usize),
            negotiate_within,
        }
    }
}

/// A connection that has been negotiated and authenticated. Cheap to clone.
///
/// It ends when the last clone is dropped and every response has arrived, when it was idle for
/// `connections.max.idle.ms`, when a request times out (as in Java), and on any I/O error.
#[derive(Clone)]
pub struct Connection(Arc<Shared>);

struct Shared {
    address: Arc<str>,
    broker_id: Option<i32>,
    client_id: String,
    versions: BrokerVersions,
    requests: mpsc::Sender<Outgoing>,
    status: Arc<Status>,
}

/// What the handle and the I/O task both see.
#[derive(Default)]
struct Status {
    in_flight: AtomicUsize,
    close: Notify,
}

impl Connection {
    /// Negotiates versions and authenticates on a fresh stream, then starts the I/O task.
    /// Does not bound the time of authentication; the caller does.
    pub async fn open(
        mut stream: Box<dyn Stream>,
        address: &str,
        broker_id: Option<i32>,
        options: &ConnectionOptions,
        authenticate: &dyn Authenticate,
    ) -> Result<Self, ClientError> {
        let mut reader = FrameReader::new(options.response_bytes_max);
        let mut handshake = Handshake {
            stream: &mut stream,
            reader: &mut reader,
            address,
            client_id: &options.client_id,
            versions: BrokerVersions::default(),
            next_correlation_id: 0,
        };
        match tokio::time::timeout(options.negotiate_within, handshake.negotiate()).await {
            Ok(negotiated) => negotiated?,
            Err(_) => return Err(ClientError::no_answer(address, options.negotiate_within)),
        }
        authenticate.authenticate(&mut handshake).await?;
        let next_correlation_id = handshake.next_correlation_id;
        let versions = std::mem::take(&mut handshake.versions);

        let (sender, requests) = mpsc::channel(REQUESTS_MAX);
        let status = Arc::new(Status::default());
        let address: Arc<str> = address.into();
        let (read, write) = tokio::io::split(stream);
        let io = Io {
            write,
            queue: WriteQueue::default(),
            needs_flush: false,
            reader,
            requests,
            in_flight: VecDeque::new(),
            unanswered: VecDeque::new(),
            next_correlation_id,
            last_activity: Instant::now(),
            max_idle: options.max_idle,
            address: address.clone(),
            status: status.clone(),
        };
        // Ends by itself once the handle is gone; a client owns the handle.
        tokio::spawn(io.run(read));
        Ok(Self(Arc::new(Shared {
            address,
            broker_id,
            client_id: options.client_id.clone(),
            versions,
            requests: sender,
            status,
        })))
    }

    /// Queues a request and returns at once. Requests are written in the order of these calls.
    ///
    /// `timeout` counts from now. When it passes, the connection is closed, because responses come
    /// in order and a later one could not be told from this one.
    ///
    /// A produce request with `acks=0` gets an empty response once it has been written.
    ///
    /// Fails when the connection is closed (retriable, nothing was sent), when the broker does not
    /// know the API, or when a field is set that the version lacks.
    pub fn enqueue<R: Request + 'static>(
        &self,
        request: &R,
        timeout: Duration,
    ) -> Result<Pending<R::Response>, ClientError> {
        let version = self.version_of::<R>()?;
        let frame = Frame::encode(request, version, &self.0.client_id)
            .map_err(|error| error.with("broker", &self.0.address))?;
        let (answer, response) = oneshot::channel();
        let outgoing = Outgoing {
            frame,
            api_key: R::KEY,
            timeout,
            deadline: Instant::now() + timeout,
            stand_in: stand_in(request, version)?,
            answer,
        };
        // Before the I/O task can count it down.
        self.0.status.in_flight.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = self.0.requests.try_send(outgoing) {
            self.0.status.in_flight.fetch_sub(1, Ordering::Relaxed);
            return Err(self.not_queued(R::KEY, &error));
        }
        Ok(Pending {
            response,
            version,
            api_key: R::KEY,
            connection: self.clone(),
            kind: PhantomData,
        })
    }

    /// The version in which requests of this type are sent.
    pub fn version_of<R: Request>(&self) -> Result<i16, ClientError> {
        self.0
            .versions
            .choose(R::KEY)
            .map_err(|error| error.with("broker", &self.0.address))
    }

    /// What the broker answered to ApiVersions.
    pub fn versions(&self) -> &BrokerVersions {
        &self.0.versions
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.0.address
    }

    /// `None` on a connection to a bootstrap server, whose id is not known yet.
    pub fn broker_id(&self) -> Option<i32> {
        self.0.broker_id
    }

    /// Requests queued or written whose response has not arrived.
    pub fn in_flight(&self) -> usize {
        self.0.status.in_flight.load(Ordering::Relaxed)
    }

    pub fn is_closed(&self) -> bool {
        self.0.requests.is_closed()
    }

    /// Resolves when the connection is closed, for whatever reason.
    pub async fn closed(&self) {
        self.0.requests.closed().await;
    }

    /// Closes now. Requests under way fail with a retriable error.
    pub fn close(&self) {
        self.0.status.close.notify_one();
    }

    fn not_queued(&self, api_key: i16, error: &mpsc::error::TrySendError<Outgoing>) -> ClientError {
        match error {
            mpsc::error::TrySendError::Closed(_) => self.already_closed(api_key),
            mpsc::error::TrySendError::Full(_) => ClientError::retriable(format!(
                "more than {REQUESTS_MAX} requests wait for {}",
                self.0.address
            ))
            .with("api", api_name(api_key)),
        }
    }

    fn already_closed(&self, api_key: i16) -> ClientError {
        ClientError::retriable(format!("the connection to {} is closed", self.0.address))
            .with_code(KafkaErrorCode::NETWORK_EXCEPTION)
            .with("api", api_name(api_key))
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("address", &self.0.address)
            .field("broker_id", &self.0.broker_id)
            .field("in_flight", &self.in_flight())
            .field("closed", &self.is_closed())
            .finish()
    }
}

/// With `acks=0` a broker does not answer; this is the frame of an empty answer.
fn stand_in<R: Request + 'static>(request: &R, version: i16) -> Result<Option<Bytes>, ClientError> {
    let produce = (request as &dyn Any).downcast_ref::<ProduceRequest>();
    if produce.is_none_or(|produce| produce.acks != 0) {
        return Ok(None);
    }
    let mut frame = BytesMut::new();
    ResponseHeader::default()
        .encode(&mut frame, ProduceResponse::header_version(version))
        .and_then(|()| ProduceResponse::default().encode(&mut frame, version))
        .map_err(|cause| {
            ClientError::fatal(format!(
                "could not encode an empty answer to Produce: {cause}"
            ))
        })?;
    Ok(Some(frame.freeze()))
}

/// A response that has not arrived yet. Dropping it discards the response; the request is sent
/// nevertheless. Keeps the connection open.
///
/// Decoding happens in `poll`, so in the task that waits.
#[must_use = "the response arrives here"]
pub struct Pending<T> {
    response: oneshot::Receiver<Result<Bytes, ClientError>>,
    version: i16,
    api_key: i16,
    connection: Connection,
    kind: PhantomData<fn() -> T>,
}

impl<T> Pending<T> {
    /// The version of the request, and so of the response.
    pub fn version(&self) -> i16 {
        self.version
    }
}

impl<T: Decodable + HeaderVersion> Future for Pending<T> {
    type Output = Result<T, ClientError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.response).poll(cx));
        Poll::Ready(match answer {
            Ok(Ok(frame)) => handshake::decode(frame, self.api_key, self.version)
                .map_err(|error| error.with("broker", self.connection.address())),
            Ok(Err(error)) => Err(error),
            // The I/O task ended before it took the request from its queue.
            Err(_) => Err(self.connection.already_closed(self.api_key)),
        })
    }
}

struct Outgoing {
    frame: Frame,
    api_key: i16,
    timeout: Duration,
    deadline: Instant,
    /// The response, when the broker sends none.
    stand_in: Option<Bytes>,
    answer: oneshot::Sender<Result<Bytes, ClientError>>,
}

struct InFlight {
    correlation_id: i32,
    api_key: i16,
    timeout: Duration,
    deadline: Instant,
    answer: oneshot::Sender<Result<Bytes, ClientError>>,
}

struct Unanswered {
    /// Value of `queue.written()` at which the request has been sent.
    written_at: u64,
    waiting: InFlight,
    response: Bytes,
}

/// The I/O task: owns the stream and everything that waits on it.
struct Io {
    write: WriteHalf<Box<dyn Stream>>,
    queue: WriteQueue,
    needs_flush: bool,
    reader: FrameReader,
    requests: mpsc::Receiver<Outgoing>,
    in_flight: VecDeque<InFlight>,
    /// Requests that the broker does not answer, until they are written.
    unanswered: VecDeque<Unanswered>,
    next_correlation_id: i32,
    last_activity: Instant,
    max_idle: Option<Duration>,
    address: Arc<str>,
    status: Arc<Status>,
}

/// Why a connection ended.
enum End {
    /// No handle is left, or idle, or closed on purpose.
    Quiet(&'static str),
    /// `error` goes to every request under way.
    Failed(ClientError),
    /// This request waited too long.
    TimedOut {
        correlation_id: i32,
        api_key: i16,
        after: Duration,
    },
}

impl Io {
    async fn run(mut self, mut read: ReadHalf<Box<dyn Stream>>) {
        let status = self.status.clone();
        let mut close = pin!(status.close.notified());
        let mut timer = pin!(tokio::time::sleep_until(self.wake_at()));
        let mut accepting = true;
        let end = loop {
            let writing = self.queue.has_remaining() || self.needs_flush;
            let room = self.in_flight.len() < REQUESTS_MAX;
            tokio::select! {
                // Writing first empties a bounded queue; reading is bounded by what was asked for.
                biased;
                written = write_some(&mut self.write, &mut self.queue, &mut self.needs_flush), if writing => {
                    if let Err(cause) = written {
                        break End::Failed(self.lost().caused_by(cause));
                    }
                    self.complete_unanswered();
                }
                count = read_some(&mut read, &mut self.reader) => match count {
                    Ok(0) => break End::Failed(self.lost()),
                    Ok(count) => {
                        self.reader.filled(count);
                        if let Err(error) = self.complete_answered() {
                            break End::Failed(error);
                        }
                    }
                    Err(cause) => break End::Failed(self.lost().caused_by(cause)),
                },
                request = self.requests.recv(), if accepting && room => match request {
                    Some(request) => {
                        if self.admit(request) < timer.deadline() {
                            timer.as_mut().reset(self.wake_at());
                        }
                    }
                    None => accepting = false,
                },
                () = &mut timer => {
                    if let Some(end) = self.overdue(Instant::now()) {
                        break end;
                    }
                    timer.as_mut().reset(self.wake_at());
                }
                () = &mut close => break End::Quiet("closed by this client"),
            }
            if !accepting && self.is_drained() {
                break End::Quiet("no longer used");
            }
        };
        self.finish(end);
    }

    /// Queues a request for writing. Returns its deadline.
    fn admit(&mut self, request: Outgoing) -> Instant {
        let correlation_id = self.next_correlation_id;
        self.next_correlation_id = correlation_id.wrapping_add(1) & i32::MAX;
        self.last_activity = Instant::now();
        request.frame.write_to(correlation_id, &mut self.queue);
        let waiting = InFlight {
            correlation_id,
            api_key: request.api_key,
            timeout: request.timeout,
            deadline: request.deadline,
            answer: request.answer,
        };
        match request.stand_in {
            None => self.in_flight.push_back(waiting),
            Some(response) => self.unanswered.push_back(Unanswered {
                written_at: self.queue.end(),
                waiting,
                response,
            }),
        }
        request.deadline
    }

    fn complete_answered(&mut self) -> Result<(), ClientError> {
        loop {
            let frame = self.reader.next_frame();
            let frame = frame
                .map_err(|bad| ClientError::not_a_kafka_broker(&self.address, &bad.to_string()))?;
            let Some(frame) = frame else {
                return Ok(());
            };
            self.last_activity = Instant::now();
            let Some(waiting) = self.in_flight.pop_front() else {
                return Err(ClientError::not_a_kafka_broker(
                    &self.address,
                    "a response to no request",
                ));
            };
            self.status.in_flight.fetch_sub(1, Ordering::Relaxed);
            if let Err(error) =
                handshake::check_correlation_id(&frame, waiting.correlation_id, &self.address)
            {
                _ = waiting.answer.send(Err(error.clone()));
                return Err(error);
            }
            // Nobody waits any more: the response is discarded.
            _ = waiting.answer.send(Ok(frame));
        }
    }

    fn complete_unanswered(&mut self) {
        let written = self.queue.written();
        while let Some(sent) = self
            .unanswered
            .pop_front_if(|request| request.written_at <= written)
        {
            self.status.in_flight.fetch_sub(1, Ordering::Relaxed);
            _ = sent.waiting.answer.send(Ok(sent.response));
        }
    }

    fn is_drained(&self) -> bool {
        self.in_flight.is_empty() && self.unanswered.is_empty() && !self.queue.has_remaining()
    }

    /// When the timer has something to look at.
    fn wake_at(&self) -> Instant {
        let deadlines = self.waiting().map(|waiting| waiting.deadline);
        let idle = self
            .max_idle
            .filter(|_| self.is_drained())
            .map(|max_idle| self.last_activity + max_idle);
        let far = self.last_activity + Duration::from_secs(24 * 3600);
        deadlines.chain(idle).min().unwrap_or(far)
    }

    fn overdue(&self, now: Instant) -> Option<End> {
        if let Some(late) = self.waiting().find(|waiting| waiting.deadline <= now) {
            return Some(End::TimedOut {
                correlation_id: late.correlation_id,
                api_key: late.api_key,
                after: late.timeout,
            });
        }
        let idle = self
            .max_idle
            .is_some_and(|max_idle| now >= self.last_activity + max_idle);
        (idle && self.is_drained()).then_some(End::Quiet("idle for connections.max.idle.ms"))
    }

    fn waiting(&self) -> impl Iterator<Item = &InFlight> {
        let unanswered = self.unanswered.iter().map(|request| &request.waiting);
        self.in_flight.iter().chain(unanswered)
    }

    fn lost(&self) -> ClientError {
        match self.in_flight.front() {
            Some(oldest) => {
                let when = format!("before answering {}", api_name(oldest.api_key));
                ClientError::disconnected(&self.address, when)
            }
            None => ClientError::disconnected(&self.address, "while no request was under way"),
        }
    }

    fn finish(mut self, end: End) {
        self.requests.close();
        let error = match &end {
            End::Quiet(reason) => {
                debug!(broker = %self.address, reason, "connection closed");
                ClientError::retriable(format!(
                    "the connection to {} was closed: {reason}",
                    self.address
                ))
                .with_code(KafkaErrorCode::NETWORK_EXCEPTION)
            }
            End::Failed(error) => {
                debug!(broker = %self.address, %error, "connection lost");
                error.clone()
            }
            End::TimedOut { api_key, after, .. } => {
                let name = api_name(*api_key);
                debug!(broker = %self.address, api = name, ?after, "request timed out, connection closed");
                ClientError::retriable(format!(
                    "the connection to {} was closed because a {name} request timed out",
                    self.address
                ))
                .with_code(KafkaErrorCode::NETWORK_EXCEPTION)
            }
        };
        let unanswered = self.unanswered.drain(..).map(|request| request.waiting);
        for waiting in self.in_flight.drain(..).chain(unanswered) {
            self.status.in_flight.fetch_sub(1, Ordering::Relaxed);
            let name = api_name(waiting.api_key);
            let error = match end {
                End::TimedOut { correlation_id, .. }
                    if correlation_id == waiting.correlation_id =>
                {
                    ClientError::timed_out(
                        format!("{name} request to {}", self.address),
                        waiting.timeout,
                    )
                }
                _ => error.clone().with("api", name),
            };
            _ = waiting.answer.send(Err(error));
        }
        // Requests that are still in the channel see their answer dropped: `already_closed`.
    }
}

/// Cancel-safe: bytes leave the queue only when they have been written.
async fn write_some(
    write: &mut WriteHalf<Box<dyn Stream>>,
    queue: &mut WriteQueue,
    needs_flush: &mut bool,
) -> io::Result<()> {
    if queue.has_remaining() {
        if write.write_buf(queue).await? == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        *needs_flush = true;
    } else {
        write.flush().await?;
        *needs_flush = false;
    }
    Ok(())
}

/// Cancel-safe, as `read_buf` is.
async fn read_some(
    read: &mut ReadHalf<Box<dyn Stream>>,
    reader: &mut FrameReader,
) -> io::Result<usize> {
    read.read_buf(&mut reader.spare()).await
}

#[cfg(test)]
mod tests;
