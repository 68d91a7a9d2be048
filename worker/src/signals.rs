//! SIGTERM and SIGINT, heard in the middle of whatever the worker's threads do: without a thread of its own for it, so that
//! a worker has no threads but those that its author knows of.
#![expect(unsafe_code, reason = "a signal handler of our own")]

use std::io;
use std::sync::Arc;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level;

use crate::station::Station;

/// Listens from now on. If the supervisor sent the signal, its word stands in the page as well; if not, the worker finishes
/// what it has in hand and dies of the signal, and a second one ends it at once.
pub(crate) fn listen(station: &Arc<Station>) -> io::Result<()> {
    for signal in [SIGTERM, SIGINT] {
        let station = Arc::clone(station);
        let hear = move || {
            if station.stop.on_signal(signal) {
                // Does not come back: both signals end a process.
                let _ = low_level::emulate_default_handler(signal);
            }
        };
        // SAFETY: `on_signal` reads and changes atomics and wakes sleepers by system calls, `emulate_default_handler` may be
        // called in a handler as well; nothing allocates, locks, or drops the station, which the handler keeps for ever.
        unsafe { low_level::register(signal, hear) }?;
    }
    Ok(())
}
