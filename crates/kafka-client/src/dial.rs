//! How to reach a broker: from host and port to a stream of bytes, and who we are on it.
//!
//! Lives here: the traits [`Dial`] and [`Authenticate`], plain TCP, name resolution, socket options.
//! Lives elsewhere: what is said on the stream (`crate::connection`), when to dial again and how
//! long to wait (`crate::client`).
//! Never here: a request of Kafka's protocol. An in-memory pipe to a broker in the same process
//! and TLS are other implementations of [`Dial`].

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};

use crate::connection::Handshake;
use crate::error::ClientError;
use crate::settings::ConnectionSettings;

/// A byte stream to a broker.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The way to a broker.
#[async_trait]
pub trait Dial: Send + Sync + 'static {
    /// Opens a stream. `setup_timeout` bounds each address that is tried, as
    /// `socket.connection.setup.timeout.ms` says; it grows while a broker stays unreachable.
    async fn dial(
        &self,
        host: &str,
        port: u16,
        setup_timeout: Duration,
    ) -> io::Result<Box<dyn Stream>>;
}

/// Runs on every fresh connection, after ApiVersions and before any other request.
#[async_trait]
pub trait Authenticate: Send + Sync + 'static {
    async fn authenticate(&self, handshake: &mut Handshake<'_>) -> Result<(), ClientError>;
}

/// `security.protocol=PLAINTEXT`, or TLS without SASL.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAuthentication;

#[async_trait]
impl Authenticate for NoAuthentication {
    async fn authenticate(&self, _: &mut Handshake<'_>) -> Result<(), ClientError> {
        Ok(())
    }
}

/// Plain TCP. Every address of a name is tried in turn, as `client.dns.lookup=use_all_dns_ips` says.
#[derive(Debug, Clone, Default)]
pub struct TcpDial {
    send_buffer_bytes: Option<u32>,
    receive_buffer_bytes: Option<u32>,
}

impl TcpDial {
    pub fn new(settings: &ConnectionSettings) -> Self {
        Self {
            send_buffer_bytes: settings.send_buffer_bytes,
            receive_buffer_bytes: settings.receive_buffer_bytes,
        }
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        if let Some(bytes) = self.send_buffer_bytes {
            socket.set_send_buffer_size(bytes)?;
        }
        if let Some(bytes) = self.receive_buffer_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.set_keepalive(true)?;
        socket.set_nodelay(true)?;
        socket.connect(address).await
    }
}

#[async_trait]
impl Dial for TcpDial {
    async fn dial(
        &self,
        host: &str,
        port: u16,
        setup_timeout: Duration,
    ) -> io::Result<Box<dyn Stream>> {
        let mut last = None;
        for address in tokio::net::lookup_host((host, port)).await? {
            match tokio::time::timeout(setup_timeout, self.connect(address)).await {
                Ok(Ok(stream)) => return Ok(Box::new(stream)),
                Ok(Err(error)) => last = Some(plain(error)),
                Err(_) => last = Some(setup_timed_out(setup_timeout)),
            }
        }
        Err(last.unwrap_or_else(|| {
            io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address"))
        }))
    }
}

pub(crate) fn setup_timed_out(after: Duration) -> io::Error {
    let text = format!("no connection within {} ms", after.as_millis());
    io::Error::new(io::ErrorKind::TimedOut, text)
}

/// `Connection refused (os error 111)` tells a person nothing more than `connection refused`.
fn plain(error: io::Error) -> io::Error {
    match error.kind() {
        kind @ (io::ErrorKind::ConnectionRefused
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable) => io::Error::new(kind, kind.to_string()),
        _ => error,
    }
}
