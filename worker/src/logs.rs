//! The worker's voice: events of `tracing` become JSON lines on stderr, where the supervisor reads them and adds
//! which worker spoke. Without it a worker's logs would have to be guessed at.

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;

/// Environment variable: which events are logged, as `RUST_LOG` says it (which is looked at after it): a level, or levels by
/// target, `info,my_crate=debug`. Nothing about spans and fields: a parser for that would make every worker twice as
/// large, and a thousand of them slower to start and to end.
pub(crate) const LOG_ENV: &str = "BRIGADE_LOG";

/// From now on events go to stderr, with time in UTC. Does nothing if the program has its own subscriber already.
pub(crate) fn begin() {
    let wish = [LOG_ENV, "RUST_LOG"].into_iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
    let (filter, fault) = filter(wish.as_deref().unwrap_or("info"));
    let format = tracing_subscriber::fmt::layer().json().with_writer(std::io::stderr);
    if tracing::subscriber::set_global_default(tracing_subscriber::registry().with(filter).with(format)).is_err() {
        return;
    }
    if let Some(why) = fault {
        tracing::warn!("{LOG_ENV} cannot be read, so the level is info: {why}");
    }
}

/// What is wished for, or `info` and why not.
fn filter(wish: &str) -> (Targets, Option<String>) {
    // The parser would take some of these for the name of a target, and then nothing at all would be logged.
    let parsed = if wish.contains(['[', '{']) {
        Err("spans and fields cannot be chosen, only targets and levels, as in info,my_crate=debug".to_owned())
    } else {
        wish.parse::<Targets>().map_err(|error| error.to_string())
    };
    match parsed {
        Ok(filter) => (filter, None),
        Err(why) => (Targets::new().with_default(Level::INFO), Some(why)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_wished_for_all_or_by_target() {
        let shows = |wish, target, level| {
            let (filter, fault) = filter(wish);
            assert!(fault.is_none(), "{wish}");
            filter.would_enable(target, &level)
        };
        assert!(shows("info", "any", Level::INFO) && !shows("info", "any", Level::DEBUG));
        assert!(shows("DEBUG", "any", Level::DEBUG) && !shows("off", "any", Level::ERROR));
        let some = "warn,mine=trace,mine::loud=error";
        assert!(shows(some, "mine::quiet", Level::TRACE) && !shows(some, "mine::loud", Level::WARN));
        assert!(shows(some, "other", Level::WARN) && !shows(some, "other", Level::INFO));
    }

    #[test]
    fn what_cannot_be_read_is_info_and_said() {
        for wish in ["[span{field=1}]=debug", "[span]=debug", "mine[span]=debug", "mine=loud", "mine=debug=trace"] {
            let (filter, fault) = filter(wish);
            assert!(fault.is_some(), "{wish}");
            assert!(filter.would_enable("any", &Level::INFO) && !filter.would_enable("any", &Level::DEBUG));
        }
    }
}
