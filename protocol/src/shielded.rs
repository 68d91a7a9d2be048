//! Calls into ipc-channel, which panics where the system refuses it something or a peer sends nonsense. Without this a full
//! disk or table of files, met at a bad moment, would end the supervisor.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static SHIELDED: Cell<bool> = const { Cell::new(false) };
}

/// Calls it; a panic comes back as its words, and is not printed. Nothing that the call could leave half-done may be used
/// afterwards.
///
/// # Errors
/// The words of the panic.
pub fn shielded<R>(call: impl FnOnce() -> R) -> Result<R, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = take_hook();
        set_hook(Box::new(move |info| {
            if !SHIELDED.get() {
                others(info);
            }
        }));
    });
    SHIELDED.set(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    SHIELDED.set(false);
    result.map_err(|payload| {
        let words = payload.downcast_ref::<&str>().map(ToString::to_string);
        words.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without words".into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_comes_back_as_its_words() {
        assert_eq!(shielded(|| 7), Ok(7));
        assert_eq!(shielded(|| -> u8 { panic!("no room") }), Err("no room".to_owned()));
        assert_eq!(shielded(|| -> u8 { panic!("{} rooms", 0) }), Err("0 rooms".to_owned()));
        assert!(!SHIELDED.get());
    }
}
