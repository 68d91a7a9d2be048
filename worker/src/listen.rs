//! What is said to this worker while its own threads are at work: the supervisor's orders, heard by a thread, and
//! signals.
#![expect(unsafe_code, reason = "a signal handler of our own")]

use std::io;
use std::sync::Arc;

use brigade_protocol::control::Order;
use ipc_channel::IpcError;
use ipc_channel::ipc::IpcReceiver;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level;

use crate::station::Station;

/// Reads orders until the supervisor is gone; then the process ends on the spot, without destructors: the items that
/// it holds belong to the next `brigade run`, which may already be sweeping.
pub(crate) fn to_orders(station: Arc<Station>, orders: IpcReceiver<Order>) {
    let listen = move || {
        loop {
            match orders.recv() {
                Ok(Order::Stop) => station.stop.wake(),
                Ok(Order::Manager(manager)) => station.manager.set(manager),
                Ok(Order::Welcome(_)) => tracing::warn!("the supervisor has welcomed this worker twice"),
                Err(IpcError::Io(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(IpcError::SerializationError(error)) => {
                    tracing::warn!("an order of the supervisor is not understood: {error}");
                }
                Err(IpcError::Disconnected | IpcError::Io(_)) => low_level::exit(1),
            }
        }
    };
    let thread = std::thread::Builder::new().name("brigade-orders".to_owned()).spawn(listen);
    thread.expect("a process that has just started may have one more thread");
}

/// Hears SIGTERM and SIGINT. If the supervisor sent them, its word stands in the page as well; if not, the worker
/// finishes what it has in hand and dies of the signal, and a second one ends it at once.
pub(crate) fn to_signals(station: &Arc<Station>) -> io::Result<()> {
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
