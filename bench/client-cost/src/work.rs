//! What is measured, and the clock that measures it.
//!
//! Lives elsewhere: doing it with one client or the other (`librdkafka`, `ours`).

use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};

use crate::payload::BYTES;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    Produce,
    Consume,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Lz4,
}

impl Compression {
    /// As Kafka's `compression.type` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lz4 => "lz4",
        }
    }
}

/// Whether a broker recognises a batch that is sent twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idempotence {
    /// The default of Java's producer and ours; a worker needs it to keep the order.
    Yes,
    /// The default of librdkafka.
    No,
}

impl Idempotence {
    /// As Kafka's `enable.idempotence` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Yes => "true",
            Self::No => "false",
        }
    }
}

/// What one process does once.
#[derive(Debug, Clone)]
pub struct Work {
    pub bootstrap: String,
    pub topic: String,
    pub action: Action,
    pub compression: Compression,
    /// Of the producer.
    pub idempotence: Idempotence,
    /// `batch.size` of the producer.
    pub batch_bytes: usize,
    /// Different keys that the records have in turn; 0: no keys.
    pub keys: u64,
    pub records: u64,
}

impl Work {
    /// Records before the clock starts: connections, metadata and buffers are there by then.
    pub fn warm_up(&self) -> u64 {
        self.records / 4
    }

    /// The arguments of the process that does it; [`Work::from_arguments`] reads them.
    pub fn to_arguments(&self) -> Vec<String> {
        let action = match self.action {
            Action::Produce => "produce",
            Action::Consume => "consume",
        };
        vec![
            self.bootstrap.clone(),
            self.topic.clone(),
            action.to_owned(),
            self.compression.name().to_owned(),
            self.idempotence.name().to_owned(),
            self.batch_bytes.to_string(),
            self.keys.to_string(),
            self.records.to_string(),
        ]
    }

    pub fn from_arguments(arguments: &[String]) -> Result<Self> {
        let [
            bootstrap,
            topic,
            action,
            compression,
            idempotence,
            batch_bytes,
            keys,
            records,
        ] = arguments
        else {
            bail!("measure: eight arguments expected, got {}", arguments.len());
        };
        Ok(Self {
            bootstrap: bootstrap.clone(),
            topic: topic.clone(),
            action: match action.as_str() {
                "produce" => Action::Produce,
                "consume" => Action::Consume,
                other => bail!("produce or consume, got {other}"),
            },
            compression: match compression.as_str() {
                "none" => Compression::None,
                "lz4" => Compression::Lz4,
                other => bail!("none or lz4, got {other}"),
            },
            idempotence: match idempotence.as_str() {
                "true" => Idempotence::Yes,
                "false" => Idempotence::No,
                other => bail!("true or false, got {other}"),
            },
            batch_bytes: batch_bytes.parse()?,
            keys: keys.parse()?,
            records: records.parse()?,
        })
    }
}

/// What one record took, in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// User and system time of this process, all threads.
    pub cpu_us: f64,
    pub wall_us: f64,
}

/// Both kinds of time of this process.
pub struct Clock {
    begin_cpu_us: f64,
    begin: Instant,
}

impl Clock {
    pub fn start() -> Self {
        Self {
            begin_cpu_us: cpu_us(),
            begin: Instant::now(),
        }
    }

    pub fn per(&self, records: u64) -> Cost {
        Cost {
            cpu_us: (cpu_us() - self.begin_cpu_us) / records as f64,
            wall_us: self.begin.elapsed().as_secs_f64() * 1e6 / records as f64,
        }
    }
}

fn cpu_us() -> f64 {
    // SAFETY: `rusage` is plain numbers, for which zero is a value, and the call only writes to it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    let us = |time: libc::timeval| time.tv_sec as f64 * 1e6 + time.tv_usec as f64;
    us(usage.ru_utime) + us(usage.ru_stime)
}

/// Sees every value that is consumed, so that nobody can leave them unread.
#[derive(Default)]
pub struct Tally {
    pub records: u64,
    bytes: u64,
    /// Of the first byte of every value, which is a digit.
    sum: u64,
}

impl Tally {
    #[inline]
    pub fn add(&mut self, value: Option<&[u8]>) {
        let value = value.unwrap_or_default();
        self.records += 1;
        self.bytes += value.len() as u64;
        self.sum += u64::from(value.first().copied().unwrap_or_default());
    }

    /// Fails: when something else was consumed than was produced.
    pub fn check(&self, records: u64) -> Result<()> {
        ensure!(
            self.records >= records,
            "{} records, expected {records}",
            self.records
        );
        ensure!(
            self.bytes == self.records * BYTES as u64,
            "{} bytes in {} records of {BYTES}",
            self.bytes,
            self.records
        );
        let mean = self.sum as f64 / self.records as f64;
        ensure!(
            (f64::from(b'0')..=f64::from(b'9')).contains(&mean),
            "values do not begin with digits"
        );
        Ok(())
    }
}

/// The value of a variable that must be there.
pub fn variable(name: &str) -> Result<String> {
    std::env::var(name)
        .with_context(|| format!("{name} is not set; `cargo xtask kafka start` prints it"))
}
