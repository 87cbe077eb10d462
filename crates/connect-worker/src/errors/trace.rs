//! Errors in the form of Java's stack traces.
//!
//! Lives here: which Java class an error stands for, and its text with causes, as states and dead letters have it.
//! Never here: log lines, which have one sentence.

use connect_api::{ConnectError, ErrorKind};
use std::error::Error;

/// Java's message when a record failed and that is not tolerated.
pub const TOLERANCE_EXCEEDED: &str = "Tolerance exceeded in error handler";
/// Java's message when a sink's `put` has failed for good.
pub const PUT_FAILED: &str = "Exiting WorkerSinkTask due to unrecoverable exception.";

/// The Java class that an error stands for.
pub fn exception_class(error: &ConnectError) -> &'static str {
    // Java's own wrappers, whatever is in them.
    if [TOLERANCE_EXCEEDED, PUT_FAILED].contains(&error.message()) {
        return "org.apache.kafka.connect.errors.ConnectException";
    }
    match error.kind() {
        ErrorKind::Retriable => "org.apache.kafka.connect.errors.RetriableException",
        ErrorKind::Data => "org.apache.kafka.connect.errors.DataException",
        ErrorKind::Config => "org.apache.kafka.common.config.ConfigException",
        ErrorKind::Fatal => "org.apache.kafka.connect.errors.ConnectException",
    }
}

/// The form of Java's trace, without its frames: `class: sentence`, and a line for each cause.
pub fn trace_of(error: &ConnectError) -> String {
    let mut trace = format!("{}: {}", exception_class(error), without_cause(error));
    let mut cause = error.source();
    while let Some(error) = cause {
        trace += "\nCaused by: ";
        match error.downcast_ref::<ConnectError>() {
            Some(error) => {
                trace += &format!("{}: {}", exception_class(error), without_cause(error));
            }
            None => trace += &without_cause(error),
        }
        cause = error.source();
    }
    trace
}

/// What an error says of itself: those that print their cause print it behind a colon.
fn without_cause(error: &dyn Error) -> String {
    let text = error.to_string();
    let cause = error.source().map(|cause| format!(": {cause}"));
    match cause.as_deref().and_then(|cause| text.strip_suffix(cause)) {
        Some(own) => own.to_string(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_have_javas_classes_and_a_line_for_each_cause() {
        let error = ConnectError::data("bad")
            .with("field", "f")
            .caused_by(std::io::Error::other("disk"));
        let exceeded = ConnectError::data(TOLERANCE_EXCEEDED)
            .with("stage", "VALUE_CONVERTER")
            .caused_by(error);
        assert_eq!(
            trace_of(&exceeded),
            "org.apache.kafka.connect.errors.ConnectException: Tolerance exceeded in error handler \
             (stage=VALUE_CONVERTER)\n\
             Caused by: org.apache.kafka.connect.errors.DataException: bad (field=f)\n\
             Caused by: disk"
        );
        for (kind, expected) in [
            (
                ErrorKind::Retriable,
                "org.apache.kafka.connect.errors.RetriableException: x",
            ),
            (
                ErrorKind::Config,
                "org.apache.kafka.common.config.ConfigException: x",
            ),
            (
                ErrorKind::Fatal,
                "org.apache.kafka.connect.errors.ConnectException: x",
            ),
        ] {
            assert_eq!(trace_of(&ConnectError::new(kind, "x")), expected);
        }
    }
}
