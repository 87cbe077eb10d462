//! One connection of a simulated network: frames that take their time, get lost, or come back as
//! errors.
//!
//! Lives here: the loop between a client's pipe and the log's pipe, and the fate of each request.
//! Lives elsewhere: which errors there are (`errors`), how often what happens (`weather`).
//! Never here: two frames of one direction that change their order, which TCP forbids.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable};
use kafka_wire::frame::{RESPONSE_BYTES_MAX, split_frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::watch;
use tokio::time::Instant;

use super::errors::{self, Fault};
use super::network::Network;
use super::trace::{Fnv, Trace};
use super::{Chance, Weather};

/// A connection as its relay gets it.
pub(super) struct Ends {
    /// Of the client and the connection, for the trace.
    pub(super) name: String,
    /// To the client.
    pub(super) near: DuplexStream,
    /// To the log.
    pub(super) far: DuplexStream,
    /// Changes when all connections break.
    pub(super) broken: watch::Receiver<()>,
    /// The weather does not reach it.
    pub(super) calm: bool,
}

/// What happens to a request and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Delivered,
    LostBefore,
    Orphaned,
    LostAfter,
    Error(Fault),
}

/// A request that the client waits for.
struct Awaited {
    correlation_id: i32,
    api: ApiKey,
    version: i16,
    answer: Answer,
}

enum Answer {
    True,
    Lost,
    Rewritten(i16),
    /// The log was not asked.
    MadeUp(Bytes),
}

/// On its way to the log.
enum Parcel {
    Frame(Bytes),
    /// Here the connection breaks for both sides.
    Break,
}

struct Relay {
    name: String,
    trace: Trace,
    network: Network,
    chance: Chance,
    calm: bool,
    awaited: VecDeque<Awaited>,
    to_log: VecDeque<(Instant, Parcel)>,
    to_client: VecDeque<(Instant, Bytes)>,
    /// The client sees a broken connection; what is under way to the log still arrives.
    hung_up: bool,
    /// A request broke the connection before it arrived, and so will those after it.
    doomed: bool,
    /// Both sides see a broken connection.
    over: bool,
}

pub(super) async fn run(network: Network, trace: Trace, ends: Ends, chance: Chance) {
    let Ends {
        name,
        near,
        mut far,
        mut broken,
        calm,
    } = ends;
    let mut near = Some(near);
    let mut relay = Relay {
        name,
        trace,
        network,
        chance,
        calm,
        awaited: VecDeque::new(),
        to_log: VecDeque::new(),
        to_client: VecDeque::new(),
        hung_up: false,
        doomed: false,
        over: false,
    };
    let (mut from_client, mut from_log) = (BytesMut::new(), BytesMut::new());
    let mut log_open = true;
    loop {
        if relay.hung_up {
            near = None;
        }
        relay.deliver(near.as_mut(), &mut far).await;
        let nothing_more = match (&near, log_open) {
            (None, _) => relay.to_log.is_empty(),
            (_, false) => relay.to_client.is_empty(),
            _ => false,
        };
        if relay.over || nothing_more {
            relay.trace.note(format_args!("{}: closed", relay.name));
            return;
        }
        let wake = relay.next_delivery();
        tokio::select! {
            biased;
            changed = broken.changed() => {
                _ = changed;
                relay.trace.note(format_args!("{}: broken", relay.name));
                return;
            }
            read = read_more(near.as_mut(), &mut from_client), if near.is_some() => {
                if !read {
                    near = None;
                    continue;
                }
                while let Ok(Some(frame)) = split_frame(&mut from_client, RESPONSE_BYTES_MAX) {
                    relay.on_request(frame);
                }
            }
            read = read_more(Some(&mut far), &mut from_log), if log_open => {
                log_open = read;
                while let Ok(Some(frame)) = split_frame(&mut from_log, RESPONSE_BYTES_MAX) {
                    relay.on_answer(frame);
                }
            }
            () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => {}
        }
    }
}

/// Whether there was anything. Cancel safe.
async fn read_more(stream: Option<&mut DuplexStream>, into: &mut BytesMut) -> bool {
    match stream {
        Some(stream) => stream.read_buf(into).await.is_ok_and(|bytes| bytes > 0),
        None => false,
    }
}

impl Relay {
    fn next_delivery(&self) -> Option<Instant> {
        let log = self.to_log.front().map(|(due, _)| *due);
        let client = self.to_client.front().map(|(due, _)| *due);
        log.into_iter().chain(client).min()
    }

    /// Whatever is due by now.
    async fn deliver(&mut self, near: Option<&mut DuplexStream>, far: &mut DuplexStream) {
        let now = Instant::now();
        while let Some((due, _)) = self.to_log.front()
            && *due <= now
            && !self.over
        {
            match self.to_log.pop_front() {
                // A log that is gone has broken the connection; the loop sees it.
                Some((_, Parcel::Frame(frame))) => _ = write(far, &frame).await,
                Some((_, Parcel::Break)) => self.over = true,
                None => {}
            }
        }
        let Some(near) = near else {
            self.to_client.clear();
            return;
        };
        while let Some((due, _)) = self.to_client.front()
            && *due <= now
            && !self.over
        {
            let Some((_, frame)) = self.to_client.pop_front() else {
                break;
            };
            _ = write(near, &frame).await;
        }
    }

    fn weather(&self) -> Arc<Weather> {
        match self.calm {
            true => Arc::new(Weather::calm()),
            false => self.network.weather(),
        }
    }

    /// Never before what went the same way earlier.
    fn due(&mut self, weather: &Weather, last: Option<Instant>) -> Instant {
        let range = match self.chance.permille(weather.slow) {
            true => weather.slow_ms.clone(),
            false => weather.delay_ms.clone(),
        };
        let due = Instant::now() + self.chance.millis(range);
        last.map_or(due, |last| last.max(due))
    }

    fn fate(&mut self, weather: &Weather, api: ApiKey, version: i16) -> Fate {
        if self.chance.permille(weather.lost_before) {
            Fate::LostBefore
        } else if self.chance.permille(weather.orphaned) {
            Fate::Orphaned
        } else if self.chance.permille(weather.lost_after) {
            Fate::LostAfter
        } else if self.chance.permille(weather.errors)
            && let Some(fault) = errors::fault(api, version, &mut self.chance)
        {
            Fate::Error(fault)
        } else {
            Fate::Delivered
        }
    }

    fn on_request(&mut self, frame: Bytes) {
        if self.hung_up || self.doomed {
            return;
        }
        let Some((api, header, body)) = head_of(&frame) else {
            panic!("{}: a request that is none", self.name);
        };
        let (version, correlation_id) = (header.request_api_version, header.correlation_id);
        let weather = self.weather();
        let mut fate = self.fate(&weather, api, version);
        let made_up = match fate {
            Fate::Error(Fault::Instead(code)) => errors::answer_with(api, version, body, code),
            _ => None,
        };
        if matches!(fate, Fate::Error(Fault::Instead(_))) && made_up.is_none() {
            fate = Fate::Delivered;
        }
        let last = self.to_log.back().map(|(due, _)| *due);
        let due = self.due(&weather, last);
        self.trace.note(format_args!(
            "{} -> {api:?} v{version} #{correlation_id} {} bytes {:x}, +{} ms, {fate:?}",
            self.name,
            frame.len(),
            Fnv::of(&frame),
            due.saturating_duration_since(Instant::now()).as_millis(),
        ));
        let answer = match fate {
            Fate::LostBefore => {
                self.to_log.push_back((due, Parcel::Break));
                self.doomed = true;
                return;
            }
            Fate::Orphaned => {
                self.to_log.push_back((due, Parcel::Frame(frame)));
                self.hung_up = true;
                return;
            }
            Fate::LostAfter => Answer::Lost,
            Fate::Error(Fault::After(code)) => Answer::Rewritten(code),
            Fate::Delivered | Fate::Error(Fault::Instead(_)) => match made_up {
                Some(body) => Answer::MadeUp(body),
                None => Answer::True,
            },
        };
        if !matches!(answer, Answer::MadeUp(_)) {
            self.to_log.push_back((due, Parcel::Frame(frame)));
        }
        self.awaited.push_back(Awaited {
            correlation_id,
            api,
            version,
            answer,
        });
        self.make_up();
    }

    fn on_answer(&mut self, frame: Bytes) {
        let mut rest = frame.clone();
        let correlation_id = rest.try_get_i32().unwrap_or(-1);
        // Requests with `acks=0` are not answered.
        let awaited = loop {
            match self.awaited.pop_front() {
                Some(awaited) if awaited.correlation_id == correlation_id => break awaited,
                Some(_) => {}
                None => return,
            }
        };
        match awaited.answer {
            Answer::Lost => {
                self.trace.note(format_args!(
                    "{} <- {:?} #{correlation_id} lost",
                    self.name, awaited.api
                ));
                self.over = true;
            }
            Answer::Rewritten(code) => {
                let changed = rewritten(&awaited, frame.clone(), code).unwrap_or(frame);
                self.send_back(&awaited, changed);
            }
            Answer::True | Answer::MadeUp(_) => self.send_back(&awaited, frame),
        }
        self.make_up();
    }

    /// What is answered without the log comes in its turn too.
    fn make_up(&mut self) {
        while let Some(Awaited {
            answer: Answer::MadeUp(body),
            ..
        }) = self.awaited.front()
        {
            let body = body.clone();
            let awaited = self.awaited.pop_front().expect("it was in front");
            if let Some(frame) = framed(&awaited, &body) {
                self.send_back(&awaited, frame);
            }
        }
    }

    fn send_back(&mut self, awaited: &Awaited, frame: Bytes) {
        let weather = self.weather();
        let last = self.to_client.back().map(|(due, _)| *due);
        let due = self.due(&weather, last);
        self.trace.note(format_args!(
            "{} <- {:?} #{} {} bytes {:x}, +{} ms",
            self.name,
            awaited.api,
            awaited.correlation_id,
            frame.len(),
            Fnv::of(&frame),
            due.saturating_duration_since(Instant::now()).as_millis(),
        ));
        self.to_client.push_back((due, frame));
    }
}

fn head_of(frame: &Bytes) -> Option<(ApiKey, RequestHeader, Bytes)> {
    let mut rest = frame.clone();
    let api = ApiKey::try_from(i16::from_be_bytes(*rest.first_chunk()?)).ok()?;
    let version = i16::from_be_bytes([*rest.get(2)?, *rest.get(3)?]);
    let header = RequestHeader::decode(&mut rest, api.request_header_version(version)).ok()?;
    Some((api, header, rest))
}

/// Header and body, without the length.
fn framed(awaited: &Awaited, body: &[u8]) -> Option<Bytes> {
    let mut frame = BytesMut::new();
    let header_version = awaited.api.response_header_version(awaited.version);
    ResponseHeader::default()
        .with_correlation_id(awaited.correlation_id)
        .encode(&mut frame, header_version)
        .ok()?;
    frame.put_slice(body);
    Some(frame.freeze())
}

fn rewritten(awaited: &Awaited, mut frame: Bytes, code: i16) -> Option<Bytes> {
    let header_version = awaited.api.response_header_version(awaited.version);
    ResponseHeader::decode(&mut frame, header_version).ok()?;
    let body = errors::rewritten(awaited.api, awaited.version, frame, code)?;
    framed(awaited, &body)
}

async fn write(stream: &mut DuplexStream, frame: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(frame.len()).expect("a frame was read with this length");
    stream.write_all(&length.to_be_bytes()).await?;
    stream.write_all(frame).await
}
