//! The log alone, for trying it with other clients: `cargo run --example log -- DIR PORT`.
//!
//! Never here: a setting beyond those two; the program for users is `millstream kafka`.

use std::net::{Ipv4Addr, SocketAddr};

use kafka_embedded::{Config, Storage};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();
    let mut arguments = std::env::args().skip(1);
    let storage = match arguments.next() {
        Some(directory) => Storage::Directory(directory.into()),
        None => Storage::Memory,
    };
    let port = arguments.next().map_or(Ok(0), |port| port.parse())?;
    let log = kafka_embedded::start(Config {
        bind: Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        ..Config::new(storage)
    })
    .await?;
    println!("{}", log.address().expect("it listens"));
    tokio::signal::ctrl_c().await?;
    log.shutdown().await;
    Ok(())
}
