//! Starting and stopping a log.
//!
//! Lives here: [`start`], [`Handle`], the lock of the directory, the listener, and the owner of all
//! tasks.
//! Never here: what a request means.

use std::fs::{self, File, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::api::Peer;
use crate::broker::{Broker, flush_regularly, keep_time, maintain_regularly};
use crate::config::{Config, Storage};
use crate::server::connection::serve;

/// Held by the process that has the directory.
const LOCK: &str = "lock";

/// Connections at one time; more are closed at once.
const CONNECTIONS_MAX: usize = 4096;

/// Bytes that fit into a pipe of [`Handle::connect`].
const PIPE_BYTES: usize = 256 * 1024;

/// Host and port that a client behind a pipe is told.
const PIPE_ADDRESS: (&str, u16) = ("embedded", 9092);

/// Why a log did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the directory {} cannot be used: {cause}; choose one that can be written", .path.display())]
    Directory { path: PathBuf, cause: io::Error },
    #[error("the directory {} is in use by another process; stop that one or choose another directory", .path.display())]
    InUse { path: PathBuf },
    #[error("cannot listen on {address}: {cause}; choose another port")]
    Bind {
        address: SocketAddr,
        cause: io::Error,
    },
    #[error("the log in {} cannot be read: {cause}", .path.display())]
    Unreadable { path: PathBuf, cause: io::Error },
}

/// Tasks that end with the handle.
#[derive(Debug, Default)]
struct Tasks {
    set: Mutex<JoinSet<()>>,
}

impl Tasks {
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(ended) = set.try_join_next() {
            say_if_panicked(ended);
        }
        set.spawn(task);
    }

    fn count(&self) -> usize {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(ended) = set.try_join_next() {
            say_if_panicked(ended);
        }
        set.len()
    }

    fn take(&self) -> JoinSet<()> {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *set)
    }
}

fn say_if_panicked(ended: Result<(), tokio::task::JoinError>) {
    if let Err(failed) = ended
        && failed.is_panic()
    {
        error!(cause = %failed, "a task of the log panicked; this is a bug");
    }
}

/// A running log. Dropping it ends it, without waiting for the disk.
pub struct Handle {
    broker: Arc<Broker>,
    tasks: Arc<Tasks>,
    address: Option<SocketAddr>,
    /// Unlocks the directory when it is closed.
    _lock: Option<File>,
}

/// Opens the directory, brings what it holds to a consistent state, and answers from then on.
///
/// Takes a few milliseconds; after a kill it reads every batch in the directory again. Damage that was
/// repaired is logged. Needs a Tokio runtime with time, and with I/O for a listener.
pub async fn start(config: Config) -> Result<Handle, StartError> {
    let lock = match &config.storage {
        Storage::Memory => None,
        Storage::Directory(path) => Some(lock(path)?),
    };
    let listener = match config.bind {
        None => None,
        Some(address) => {
            let bind = |cause| StartError::Bind { address, cause };
            let listener = TcpListener::bind(address).await.map_err(bind)?;
            let bound = listener.local_addr().map_err(bind)?;
            if !bound.ip().is_loopback() {
                warn!(address = %bound, "the log listens beyond this machine, and has no authentication: whoever reaches it may read, write and delete");
            }
            Some((listener, bound))
        }
    };
    let broker = Arc::new(open(config).await?);
    let tasks = Arc::new(Tasks::default());
    let address = listener.as_ref().map(|(_, bound)| *bound);
    if let Some((listener, _)) = listener {
        tasks.spawn(accept(listener, broker.clone(), tasks.clone()));
    }
    tasks.spawn(maintain_regularly(broker.clone()));
    tasks.spawn(flush_regularly(broker.clone()));
    tasks.spawn(keep_time(broker.clone()));
    Ok(Handle {
        broker,
        tasks,
        address,
        _lock: lock,
    })
}

async fn open(config: Config) -> Result<Broker, StartError> {
    let Storage::Directory(path) = config.storage.clone() else {
        return Broker::open(config).map_err(|cause| StartError::Unreadable {
            path: PathBuf::new(),
            cause,
        });
    };
    let opened = tokio::task::spawn_blocking(move || Broker::open(config)).await;
    opened
        .unwrap_or_else(|failed| Err(io::Error::other(failed)))
        .map_err(|cause| StartError::Unreadable { path, cause })
}

fn lock(path: &Path) -> Result<File, StartError> {
    let directory = |cause| StartError::Directory {
        path: path.to_owned(),
        cause,
    };
    fs::create_dir_all(path).map_err(directory)?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path.join(LOCK))
        .map_err(directory)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StartError::InUse {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(cause)) => Err(directory(cause)),
    }
}

async fn accept(listener: TcpListener, broker: Arc<Broker>, tasks: Arc<Tasks>) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(cause) => {
                // Mostly too many open files: others have to end first.
                warn!(%cause, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if tasks.count() >= CONNECTIONS_MAX {
            warn!(
                limit = CONNECTIONS_MAX,
                "too many connections; this one is closed"
            );
            continue;
        }
        if let Ok(peer) = peer_of(&stream) {
            tasks.spawn(serve(stream, broker.clone(), peer));
        }
    }
}

fn peer_of(stream: &TcpStream) -> io::Result<Peer> {
    stream.set_nodelay(true)?;
    let reached = stream.local_addr()?;
    Ok(Peer {
        host: format!("/{}", stream.peer_addr()?.ip()),
        reached: (reached.ip().to_string(), reached.port()),
        wake: Arc::new(Notify::new()),
    })
}

impl Handle {
    /// Where it listens; `None` when it was told not to.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The cluster's id, the same in each run on one directory.
    pub fn cluster_id(&self) -> &str {
        self.broker.cluster_id.as_str()
    }

    /// A connection that needs no socket. Metadata names the node as `embedded:9092` to its
    /// client, when there is neither a listener nor an advertised address.
    pub fn connect(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(PIPE_BYTES);
        self.serve(ours);
        theirs
    }

    /// Answers on a stream that came about elsewhere.
    pub fn serve<S>(&self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let reached = match self.address {
            Some(address) => (address.ip().to_string(), address.port()),
            None => (PIPE_ADDRESS.0.to_owned(), PIPE_ADDRESS.1),
        };
        let peer = Peer {
            host: "/127.0.0.1".to_owned(),
            reached,
            wake: Arc::new(Notify::new()),
        };
        self.tasks.spawn(serve(stream, self.broker.clone(), peer));
    }

    /// Ends all connections and waits until everything is on the disk.
    pub async fn shutdown(self) {
        self.tasks.take().shutdown().await;
        match self.broker.sync_all().await {
            Ok(()) => self.broker.put_checkpoint(),
            Err(cause) => {
                error!(%cause, "at the stop not everything could be brought to the disk");
            }
        }
        info!("the log has stopped");
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.tasks.take().abort_all();
    }
}
