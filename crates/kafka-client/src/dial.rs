//! How to reach a broker: from host and port to a stream of bytes.
//!
//! Lives here: the trait [`Dial`], plain TCP, name resolution, socket options.
//! Lives elsewhere: what is said on the stream and who we are on it (`crate::connection`), when to
//! dial again and how long to wait (`crate::client`).
//! Never here: a request of Kafka's protocol. An in-memory pipe to a broker in the same process
//! and TLS are other implementations of [`Dial`].

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};

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
        let addresses = tokio::net::lookup_host((host, port))
            .await
            .map_err(|_| unknown_host(host))?;
        for address in addresses {
            match tokio::time::timeout(setup_timeout, self.connect(address)).await {
                Ok(Ok(stream)) => return Ok(Box::new(stream)),
                Ok(Err(error)) => last = Some(plain(error)),
                Err(_) => last = Some(setup_timed_out(setup_timeout)),
            }
        }
        Err(last.unwrap_or_else(|| unknown_host(host)))
    }
}

fn unknown_host(host: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!("host {host} has no address"),
    )
}

fn setup_timed_out(after: Duration) -> io::Error {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_port_is_said_plainly() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let dialled = TcpDial::default()
            .dial("127.0.0.1", port, Duration::from_secs(5))
            .await;
        let error = dialled.err().expect("nobody listens");
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (io::ErrorKind::ConnectionRefused, "connection refused")
        );
    }

    #[tokio::test]
    async fn buffers_are_set_before_connecting() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dial = TcpDial {
            send_buffer_bytes: Some(64 * 1024),
            receive_buffer_bytes: Some(64 * 1024),
        };
        let stream = dial.connect(listener.local_addr().unwrap()).await.unwrap();
        let socket = socket2::SockRef::from(&stream);
        // Linux doubles what is asked for.
        assert!(socket.recv_buffer_size().unwrap() >= 64 * 1024);
        assert!(socket.recv_buffer_size().unwrap() <= 128 * 1024);
        assert!(stream.nodelay().unwrap());
    }
}
