//! Brokers made of a closure, reached over in-memory pipes, for tests under paused time.
//!
//! Lives here: the server side of the wire, and the bookkeeping of what was dialled and asked.
//! Never here: the behaviour of Kafka. A test says what each request is answered with.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    ApiVersionsRequest, ApiVersionsResponse, BrokerId, MetadataRequest, RequestHeader,
    ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{
    Encodable, HeaderVersion, Request, StrBytes, decode_request_header_from_buffer,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;

use crate::connection::{APIS, api_name};
use crate::dial::{Dial, Stream};

/// A request that arrived.
pub(crate) struct Call {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) header: RequestHeader,
    body: Bytes,
}

/// What a broker does about a request.
pub(crate) enum Reply {
    /// This frame, without its length.
    Frame(Bytes),
    Silence,
    /// After this long, the inner reply. Later requests of the connection wait.
    Later(Duration, Box<Reply>),
    Close,
    /// These bytes as they are, then close.
    Raw(&'static [u8]),
}

impl Call {
    pub(crate) fn is<R: Request>(&self) -> bool {
        self.header.request_api_key == R::KEY
    }

    pub(crate) fn decode<R: Request>(&self) -> R {
        assert!(self.is::<R>(), "not a {}", api_name(R::KEY));
        R::decode(&mut self.body.clone(), self.header.request_api_version)
            .expect("a request decodes")
    }

    pub(crate) fn answer<R: Request>(&self, response: &R::Response) -> Reply {
        Reply::Frame(self.frame::<R>(
            self.header.correlation_id,
            response,
            self.header.request_api_version,
        ))
    }

    pub(crate) fn frame<R: Request>(
        &self,
        correlation_id: i32,
        response: &R::Response,
        version: i16,
    ) -> Bytes {
        let mut frame = BytesMut::new();
        let header = ResponseHeader::default().with_correlation_id(correlation_id);
        header
            .encode(&mut frame, R::Response::header_version(version))
            .expect("a header encodes");
        response
            .encode(&mut frame, version)
            .expect("a response encodes");
        frame.freeze()
    }

    /// The answer of a broker that speaks what this client speaks.
    pub(crate) fn api_versions(&self) -> Reply {
        self.api_versions_without(&[])
    }

    pub(crate) fn api_versions_without(&self, missing: &[i16]) -> Reply {
        let offered = APIS
            .iter()
            .filter(|api| !missing.contains(&api.key))
            .map(|api| {
                ApiVersion::default()
                    .with_api_key(api.key)
                    .with_min_version(api.min)
                    .with_max_version(api.max)
            });
        let response = ApiVersionsResponse::default().with_api_keys(offered.collect());
        self.answer::<ApiVersionsRequest>(&response)
    }

    /// Brokers with these ids listen on ports 9000 + id of this host; each topic has one partition
    /// led by the first broker.
    pub(crate) fn metadata(&self, ids: &[i32], topics: &[&str]) -> Reply {
        let brokers = ids.iter().map(|id| {
            MetadataResponseBroker::default()
                .with_node_id(BrokerId(*id))
                .with_host(StrBytes::from_string(self.host.clone()))
                .with_port(9000 + id)
                .with_rack(None)
        });
        let topics = topics.iter().map(|name| {
            let partition = MetadataResponsePartition::default()
                .with_leader_id(BrokerId(ids[0]))
                .with_leader_epoch(1);
            MetadataResponseTopic::default()
                .with_name(Some(TopicName(StrBytes::from_string((*name).to_owned()))))
                .with_partitions(vec![partition])
        });
        let response = MetadataResponse::default()
            .with_controller_id(BrokerId(ids[0]))
            .with_brokers(brokers.collect())
            .with_topics(topics.collect());
        self.answer::<MetadataRequest>(&response)
    }
}

type Handler = dyn FnMut(&Call) -> Reply + Send;
type OnDial = dyn FnMut(&str, u16) -> io::Result<()> + Send;

/// Cheap to clone; all clones are the same cluster.
#[derive(Clone)]
pub(crate) struct FakeCluster {
    handler: Arc<Mutex<Handler>>,
    on_dial: Arc<Mutex<OnDial>>,
    log: Arc<Mutex<Log>>,
    streams: Streams,
}

/// One per stream that a client holds open.
type Streams = Arc<tokio::sync::watch::Sender<usize>>;

#[derive(Default)]
struct Log {
    dials: Vec<(Instant, u16)>,
    calls: Vec<(&'static str, u16)>,
}

impl FakeCluster {
    /// `handler` answers every request of every broker, ApiVersions too.
    pub(crate) fn new(handler: impl FnMut(&Call) -> Reply + Send + 'static) -> Self {
        Self::with_dial(|_, _| Ok(()), handler)
    }

    pub(crate) fn with_dial(
        on_dial: impl FnMut(&str, u16) -> io::Result<()> + Send + 'static,
        handler: impl FnMut(&Call) -> Reply + Send + 'static,
    ) -> Self {
        Self {
            handler: Arc::new(Mutex::new(handler)),
            on_dial: Arc::new(Mutex::new(on_dial)),
            log: Arc::default(),
            streams: Streams::default(),
        }
    }

    /// When which port was dialled.
    pub(crate) fn dials(&self) -> Vec<(Instant, u16)> {
        self.log.lock().unwrap().dials.clone()
    }

    /// How often a request of this type arrived.
    pub(crate) fn count<R: Request>(&self) -> usize {
        let log = self.log.lock().unwrap();
        log.calls
            .iter()
            .filter(|(name, _)| *name == api_name(R::KEY))
            .count()
    }

    /// Waits until no client has a stream open.
    pub(crate) async fn all_hung_up(&self) {
        let mut streams = self.streams.subscribe();
        streams
            .wait_for(|open| *open == 0)
            .await
            .expect("the sender is in self");
    }

    /// Opens a stream without a client.
    pub(crate) async fn stream(&self) -> Box<dyn Stream> {
        self.dial("fake", 9000, Duration::from_secs(1))
            .await
            .expect("dials")
    }

    async fn serve(self, host: String, port: u16, mut stream: DuplexStream) -> io::Result<()> {
        loop {
            let length = stream.read_i32().await?;
            let mut frame = vec![0; usize::try_from(length).expect("a length")];
            stream.read_exact(&mut frame).await?;
            let mut body = Bytes::from(frame);
            let header = decode_request_header_from_buffer(&mut body).expect("a header");
            let call = Call {
                host: host.clone(),
                port,
                header,
                body,
            };
            let name = api_name(call.header.request_api_key);
            self.log.lock().unwrap().calls.push((name, port));
            let mut reply = (self.handler.lock().unwrap())(&call);
            while let Reply::Later(wait, inner) = reply {
                tokio::time::sleep(wait).await;
                reply = *inner;
            }
            match reply {
                Reply::Frame(frame) => {
                    let mut bytes = BytesMut::new();
                    bytes.put_i32(frame.remaining() as i32);
                    bytes.put(frame);
                    stream.write_all(&bytes).await?;
                }
                Reply::Raw(bytes) => {
                    stream.write_all(bytes).await?;
                    return Ok(());
                }
                Reply::Close => return Ok(()),
                Reply::Silence | Reply::Later(..) => {}
            }
        }
    }
}

#[async_trait]
impl Dial for FakeCluster {
    async fn dial(&self, host: &str, port: u16, _: Duration) -> io::Result<Box<dyn Stream>> {
        self.log.lock().unwrap().dials.push((Instant::now(), port));
        (self.on_dial.lock().unwrap())(host, port)?;
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (cluster, host) = (self.clone(), host.to_owned());
        self.streams.send_modify(|open| *open += 1);
        tokio::spawn(async move {
            // Ends with an error when the client hangs up.
            _ = cluster.clone().serve(host, port, theirs).await;
            cluster.streams.send_modify(|open| *open -= 1);
        });
        Ok(Box::new(ours))
    }
}
