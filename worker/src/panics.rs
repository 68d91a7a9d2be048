//! Panics become one line in the log. The hook remembers a panic in a handler, and the handler's loop, which knows the item,
//! logs it. A panic that cannot unwind aborts the process after the hook: the hook logs and reports that one itself.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, PanicHookInfo};
use std::sync::OnceLock;

use crate::copies;

thread_local! {
    static IN_HANDLER: Cell<bool> = const { Cell::new(false) };
    /// The last panic that unwound, and the one before it, should that have been unwinding still.
    static LAST: RefCell<[Option<Panic>; 2]> = const { RefCell::new([None, None]) };
}

/// Tells the supervisor, in words, why the process is about to abort.
static REPORT: OnceLock<Box<dyn Fn(String) + Send + Sync>> = OnceLock::new();

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
        if copies::is_copy() {
            copies::say(&format!("a forked copy of the worker {panic}"));
        } else if cfg!(panic = "abort") || !can_unwind(info) {
            aborts(panic);
        } else {
            if !IN_HANDLER.get() {
                panic.log(&format!("thread {} panicked", thread()));
            }
            LAST.with_borrow_mut(|[last, before]| *before = last.replace(panic));
        }
    }));
}

/// From now on the supervisor is told why the process aborts.
pub(crate) fn report_by(report: impl Fn(String) + Send + Sync + 'static) {
    let _ = REPORT.set(Box::new(report)); // A process is one worker.
}

/// Calls `handler`; a panic of it comes back as a value.
pub(crate) fn caught<R>(handler: impl FnOnce() -> R) -> Result<R, Panic> {
    let was_caught = IN_HANDLER.replace(true);
    // Unwind safety: what the handler holds is the author's to judge (`on_panic = "exit"` in the pipeline file), and
    // the item itself is given back whole.
    let result = std::panic::catch_unwind(AssertUnwindSafe(handler));
    IN_HANDLER.set(was_caught);
    result.map_err(|payload| last().unwrap_or_else(|| Panic::without_hook(&*payload)))
}

/// Calls what is no handler. A panic of it, which the hook has logged, is told in words and unwinds further, unless `tell`
/// gives what to return instead.
pub(crate) fn passed_on<R>(body: impl FnOnce() -> R, tell: impl FnOnce(String) -> Option<R>) -> R {
    std::panic::catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|payload| {
        let words = last().unwrap_or_else(|| Panic::without_hook(&*payload)).to_string();
        tell(words).unwrap_or_else(|| std::panic::resume_unwind(payload))
    })
}

/// The panic that was caught just now, if the hook has seen it.
fn last() -> Option<Panic> {
    LAST.with_borrow_mut(|[last, before]| {
        *before = None;
        last.take()
    })
}

/// The process aborts when the hook returns: logs and reports why.
fn aborts(panic: Panic) {
    // Of these two the words say nothing: the panic behind them is the one that could not unwind.
    let is_second = panic.message == IN_CLEANUP;
    let is_stopped = panic.message == CANNOT_UNWIND;
    let (last, before) = LAST.with_borrow_mut(|[last, before]| (last.take(), before.take()));
    let (first, then) = match (last, before) {
        (Some(last), Some(before)) if is_second => (before, Some(last)),
        (Some(last), _) if is_second || is_stopped => (last, None),
        _ => (panic, None),
    };
    let then = then.map(|then| format!("; while that was unwound it {then}")).unwrap_or_default();
    let what = "the process aborts, because a panic could not unwind";
    first.log_with(&format!("{what}: thread {} panicked", thread()), &then);
    if let Some(report) = REPORT.get() {
        report(format!("{first}{then}"));
    }
}

/// What the standard library says when a panic comes to the end of a function that cannot unwind (`extern "C"`), and when a
/// second panic leaves a destructor while the first one unwinds.
const CANNOT_UNWIND: &str = "panic in a function that cannot unwind";
const IN_CLEANUP: &str = "panic in a destructor during cleanup";

/// Whether the panic unwinds when the hook has returned. The method that says so is not stable; the debug form has it too.
fn can_unwind(info: &PanicHookInfo<'_>) -> bool {
    let words = words_of(info.payload());
    words != CANNOT_UNWIND && words != IN_CLEANUP && !format!("{info:?}").contains(", can_unwind: false")
}

fn thread() -> String {
    std::thread::current().name().unwrap_or("without a name").to_owned()
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
    fn without_hook(payload: &(dyn Any + Send)) -> Self {
        Self { message: words_of(payload), location: String::new(), backtrace: None }
    }

    fn log(&self, what: &str) {
        self.log_with(what, "");
    }

    fn log_with(&self, what: &str, more: &str) {
        let (location, backtrace) = (self.location.as_str(), self.backtrace.as_deref());
        tracing::error!(location, backtrace, "{what}: {}{more}", self.message);
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.location.is_empty() {
            write!(f, "panicked: {}", self.message)
        } else {
            write!(f, "panicked at {}: {}", self.location, self.message)
        }
    }
}

fn words_of(payload: &(dyn Any + Send)) -> String {
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

    #[test]
    fn a_panic_outside_of_a_handler_is_told_and_unwinds_further() {
        let mut told = String::new();
        let tell = |words| {
            told = words;
            None
        };
        let body = || passed_on(|| panic!("no list"), tell);
        let payload = std::panic::catch_unwind(AssertUnwindSafe::<_>(body)).map(|()| "nothing").expect_err("it panics");
        assert_eq!((told.as_str(), words_of(&*payload).as_str()), ("panicked: no list", "no list"));
        assert_eq!(passed_on(|| panic!("no list"), Some), "panicked: no list");
    }

    #[test]
    fn an_ordinary_panic_can_unwind_as_far_as_is_known() {
        std::thread::spawn(|| {
            thread_local! { static SAID: Cell<Option<bool>> = const { Cell::new(None) }; }
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                SAID.set(Some(can_unwind(info)));
                before(info);
            }));
            let _ = caught(|| panic!("as any other"));
            assert_eq!(SAID.get(), Some(true));
        })
        .join()
        .expect("no panic");
    }
}
