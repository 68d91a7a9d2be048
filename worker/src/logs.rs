//! The worker's voice: events of `tracing` become JSON lines on stderr, where the supervisor reads them and adds
//! which worker spoke. Without it a worker's logs would have to be guessed at.

use tracing_subscriber::EnvFilter;

/// Environment variable: which events are logged, in the notation of `RUST_LOG` (which is looked at after it).
pub(crate) const LOG_ENV: &str = "BRIGADE_LOG";

/// From now on events go to stderr, with time in UTC. Does nothing if the program has its own subscriber already.
pub(crate) fn begin() {
    let wish = [LOG_ENV, "RUST_LOG"].into_iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
    let (filter, fault) = match EnvFilter::try_new(wish.as_deref().unwrap_or("info")) {
        Ok(filter) => (filter, None),
        Err(error) => (EnvFilter::new("info"), Some(error)),
    };
    let subscriber = tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).finish();
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        return;
    }
    if let Some(error) = fault {
        tracing::warn!("{LOG_ENV} cannot be read, so the level is info: {error}");
    }
}
