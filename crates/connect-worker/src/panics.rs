//! A panic of a plugin becomes an error with a trace.
//!
//! Lives here: the hook that notes where a panic came from, and the future that catches it.
//! Never here: what is done about it (`task`).

use connect_api::ConnectError;
use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::pin::pin;
use std::sync::Once;
use std::task::Poll;

/// What a panic said and where it was.
#[derive(Debug, Clone)]
pub struct Panic {
    message: String,
    location: Option<String>,
    trace: String,
}

impl Panic {
    /// The stack at the panic, a frame or two a line.
    pub fn trace(&self) -> &str {
        &self.trace
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the plugin panicked: {}", self.message)?;
        match &self.location {
            Some(location) => write!(f, " (at {location})"),
            None => Ok(()),
        }
    }
}

impl From<Panic> for ConnectError {
    fn from(panic: Panic) -> Self {
        Self::fatal(format!("{panic}\n{}", panic.trace))
    }
}

thread_local! {
    /// Whether a panic on this thread will be caught below.
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    static LAST_PANIC: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// Runs a future to its end or to its panic. Everything that the future owned is dropped in both cases.
///
/// Cost: a flag per poll; a stack trace only in a panic.
pub async fn caught<F: Future>(future: F) -> Result<F::Output, Panic> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if CATCHING.get() {
                LAST_PANIC.set(Some(note(info)));
            } else {
                before(info);
            }
        }));
    });
    let mut future = pin!(future);
    poll_fn(|context| {
        // One caught future may poll another.
        let before = CATCHING.replace(true);
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        CATCHING.set(before);
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(payload) => {
                let noted = LAST_PANIC.take();
                Poll::Ready(Err(noted.unwrap_or_else(|| Panic {
                    message: text_of(&*payload),
                    location: None,
                    trace: String::new(),
                })))
            }
        }
    })
    .await
}

fn note(info: &PanicHookInfo<'_>) -> Panic {
    Panic {
        message: text_of(info.payload()),
        location: info.location().map(ToString::to_string),
        trace: Backtrace::force_capture().to_string(),
    }
}

fn text_of(payload: &(dyn std::any::Any + Send)) -> String {
    let literal = payload.downcast_ref::<&str>().map(ToString::to_string);
    literal
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_with_its_message_and_place() {
        let panic = caught(async { panic!("no such {}", "thing") })
            .await
            .unwrap_err();
        assert!(
            panic
                .to_string()
                .starts_with("the plugin panicked: no such thing (at "),
            "{panic}"
        );
        assert!(panic.trace().contains("panics"), "{}", panic.trace());
        assert_eq!(caught(async { 5 }).await.unwrap(), 5);
    }
}
