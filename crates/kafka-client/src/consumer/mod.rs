//! Reading records from Kafka.
mod assignors;
mod protocol;

use std::sync::Arc;

/// Orders by topic, then partition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub partition: i32,
}
