//! Places at which a test can make a process die, for real, by SIGKILL. In a build without debug assertions
//! [`crash_point!`](crate::crash_point) is nothing at all.

/// Dies here by SIGKILL if the environment variable `BRIGADE_CRASH` names this point (`name`, or `name:n` for the
/// n-th time it is reached). Compiled in with debug assertions only.
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {
        #[cfg(all(debug_assertions, not(any(model_loom, model_shuttle))))]
        $crate::crash::reached($name);
    };
}

/// The slow part of [`crash_point!`](crate::crash_point).
#[cfg(debug_assertions)]
#[doc(hidden)]
pub fn reached(name: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    static WANTED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static TIMES: AtomicU64 = AtomicU64::new(0);
    let wanted = WANTED.get_or_init(|| {
        let value = std::env::var("BRIGADE_CRASH").ok()?;
        Some(match value.split_once(':') {
            Some((name, nth)) => (name.to_owned(), nth.parse().unwrap_or(1)),
            None => (value, 1),
        })
    });
    if let Some((wanted, nth)) = wanted
        && wanted == name
        && TIMES.fetch_add(1, Ordering::Relaxed) + 1 == *nth
    {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGKILL);
    }
}
