//! Our one door to Kafka.
mod admin;
mod client;
mod connection;
mod consumer;
mod dial;
mod error;
mod group;
mod metadata;
mod producer;
mod settings;
