//! The two threads that hear what is said to this worker while its own threads are at work: one for the supervisor's
//! orders, one for signals.

use std::io;
use std::sync::Arc;

use brigade_protocol::control::Order;
use ipc_channel::IpcError;
use ipc_channel::ipc::IpcReceiver;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

use crate::station::Station;

/// Reads orders until the supervisor is gone; then the process ends on the spot, without destructors: the items that
/// it holds belong to the next `brigade run`, which may already be sweeping.
pub(crate) fn to_orders(station: Arc<Station>, orders: IpcReceiver<Order>) {
    spawn("brigade-orders", move || {
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
    });
}

/// Hears SIGTERM and SIGINT. If the supervisor sent them, its word stands in the page as well; if not, the worker
/// finishes what it has in hand and dies of the signal, and a second one ends it at once.
pub(crate) fn to_signals(station: Arc<Station>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT])?;
    spawn("brigade-signals", move || {
        for signal in signals.forever() {
            if station.stop.on_signal(signal) {
                // Does not come back: both signals end a process.
                let _ = low_level::emulate_default_handler(signal);
            }
        }
    });
    Ok(())
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
    thread.expect("a process that has just started may have two more threads");
}
