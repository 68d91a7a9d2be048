//! Panics become one line in the log. A panic in a handler is only remembered here, and told by the handler's loop,
//! which knows the item; without the hook it would be several lines that nobody can attribute.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo};

thread_local! {
    static IN_HANDLER: Cell<bool> = const { Cell::new(false) };
    static LAST: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// What is known about a panic.
#[derive(Debug)]
pub(crate) struct Panic {
    /// The words of the panic.
    pub(crate) message: String,
    /// File, line and column.
    pub(crate) location: String,
    /// The backtrace, if `RUST_BACKTRACE` asks for one.
    pub(crate) backtrace: Option<String>,
}

/// From now on panics are logged by `tracing`.
pub(crate) fn begin() {
    std::panic::set_hook(Box::new(|info| {
        let panic = Panic::of(info);
        if IN_HANDLER.get() {
            LAST.set(Some(panic));
        } else {
            let thread = std::thread::current();
            tracing::error!(
                location = panic.location,
                backtrace = panic.backtrace.as_deref(),
                "thread {} panicked: {}",
                thread.name().unwrap_or("without a name"),
                panic.message
            );
        }
    }));
}

/// Calls `handler`; a panic of it comes back as a value.
pub(crate) fn caught<R>(handler: impl FnOnce() -> R) -> Result<R, Panic> {
    let was_caught = IN_HANDLER.replace(true);
    // Unwind safety: what the handler holds is the author's to judge (`on_panic = "exit"` in the pipeline file), and
    // the item itself is given back whole.
    let result = std::panic::catch_unwind(AssertUnwindSafe(handler));
    IN_HANDLER.set(was_caught);
    result.map_err(|payload| LAST.take().unwrap_or_else(|| Panic::without_hook(&*payload)))
}

impl Panic {
    fn of(info: &PanicHookInfo<'_>) -> Self {
        let backtrace = Backtrace::capture();
        Self {
            message: words_of(info.payload()),
            location: info.location().map_or_else(String::new, ToString::to_string),
            backtrace: (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string()),
        }
    }

    /// The program has put its own hook in the place of ours: the payload is all there is.
    fn without_hook(payload: &(dyn std::any::Any + Send)) -> Self {
        Self { message: words_of(payload), location: String::new(), backtrace: None }
    }
}

fn words_of(payload: &(dyn std::any::Any + Send)) -> String {
    let words = payload.downcast_ref::<&str>().map(ToString::to_string);
    words.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without words".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_comes_back_as_words() {
        let panic = caught(|| panic!("seven is {}", 7)).expect_err("it panics");
        assert_eq!(panic.message, "seven is 7");
        assert_eq!(caught(|| 7).expect("it does not panic"), 7);
    }
}
