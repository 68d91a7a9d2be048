//! The manager: named lists, maps and counters that all workers see, in a process of its own. It is this same binary,
//! started by the supervisor like a worker when the first worker asks for shared state; workers talk to it directly.
//!
//! Every change is in a journal in the state folder before its outcome is told, so the state outlives the death of any
//! process, the manager's and the supervisor's too, at any instant; the next manager finds it. What it does not outlive for
//! certain is a loss of power: only snapshots (an orderly stop makes one, and a long journal) are brought to the disk.
//! Clients send again what was under way when the manager died, and operations have numbers, so it is applied once.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, mpsc};

use brigade_protocol::control::{DOOR_ENV, KNOCK_MAGIC, Knock, Order, PROTOCOL, Report, TOKEN_ENV};
use brigade_protocol::page::Page;
use brigade_protocol::shared::SHARED_ENV;
use ipc_channel::ipc::{self, IpcReceiver, IpcSender};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use signal_hook::consts::{SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

pub mod ask;
pub mod batches;
#[cfg(test)]
mod combined;
mod journal;
mod kinds;
pub mod picture;
pub mod serve;
mod sessions;
pub mod show;
mod snapshot;
pub mod state;
pub mod store;
pub mod table;

use serve::serve;
use state::State;
use store::Store;
use table::Table;

use crate::state::StateDir;

/// Why the manager ends.
enum End {
    /// It was asked to.
    Stop,
    /// The supervisor is gone.
    Alone,
}

/// What the hidden subcommand `manager` does; returns when the manager has ended. Exit code 0 after an orderly stop
/// whose state is on the disk, else 1.
pub fn run() -> ExitCode {
    let _ = tracing_subscriber::fmt().json().with_writer(std::io::stderr).try_init();
    match manage() {
        Ok(()) => ExitCode::SUCCESS,
        Err(words) => {
            tracing::error!("the manager of shared state ends: {words}");
            ExitCode::FAILURE
        }
    }
}

fn manage() -> Result<(), String> {
    // First of all, so that a signal which comes early finds its way too.
    let mut signals = Signals::new([SIGTERM]).map_err(|error| format!("cannot listen for signals: {error}"))?;
    // A file that must not grow any further shall be an error of `write`, as a full disk is, not our death.
    signal_hook::flag::register(SIGXFSZ, Arc::default())
        .map_err(|error| format!("cannot listen for signals: {error}"))?;
    // It looks into the workers' pages.
    brigade_protocol::shm::survive_cut_files()
        .map_err(|error| format!("cannot survive files that are cut short: {error}"))?;
    allow_many_clients();
    let (orders, reports) = knock()?;
    let page = match orders.recv() {
        Ok(Order::Welcome(welcome)) => Page::open(welcome.page.as_ref()),
        Ok(Order::Stop) => return Ok(()),
        Ok(Order::Manager(_)) => return Err("the supervisor did not answer with a welcome".into()),
        Err(error) => return Err(format!("the supervisor did not let it in: {error}")),
    };
    let page = page.inspect_err(|error| tracing::warn!("`brigade status` shows no operations of the manager: {error}"));
    let table = restored(std::env::var_os(SHARED_ENV).map(PathBuf::from))?;
    let table = Arc::new(table.counted_on(page.ok()));
    let (sender, connects) = ipc::channel().map_err(|error| format!("cannot make a channel: {error}"))?;
    let clients = Arc::clone(&table);
    begin("clients", move || serve(&connects, &clients))?;

    let (end, ended) = mpsc::channel();
    let by_signal = end.clone();
    begin("signals", move || {
        if signals.forever().next().is_some() {
            let _ = by_signal.send(End::Stop);
        }
    })?;
    begin("orders", move || {
        let _ = end.send(listen(&orders));
    })?;
    for report in [Report::ManagerOpen(sender), Report::Ready] {
        reports.send(report).map_err(|error| format!("the supervisor is gone: {error}"))?;
    }

    match ended.recv().expect("the thread that waits for signals holds a sender for ever") {
        End::Alone => Err("the supervisor is gone".into()),
        End::Stop => {
            let mut held = table.close();
            let saved =
                held.save().map_err(|error| format!("the shared state could not be brought to the disk: {error}"));
            // The table stays closed to the end of the process: what is not in the snapshot is never acknowledged.
            std::mem::forget(held);
            saved
        }
    }
}

/// Goes to the supervisor's door, as every worker does.
fn knock() -> Result<(IpcReceiver<Order>, IpcSender<Report>), String> {
    let from = |name| {
        std::env::var(name)
            .map_err(|_| format!("{name} is not set: the manager is started by `brigade run`, not by hand"))
    };
    let (door, token) = (from(DOOR_ENV)?, from(TOKEN_ENV)?);
    let made = |error: std::io::Error| format!("cannot make a channel: {error}");
    let (to_orders, orders) = ipc::channel().map_err(made)?;
    let (reports, from_reports) = ipc::channel().map_err(made)?;
    let (magic, protocol, sdk) = (KNOCK_MAGIC, PROTOCOL, env!("CARGO_PKG_VERSION").to_owned());
    let knock = Knock { magic, protocol, sdk, token, orders: to_orders, reports: from_reports };
    IpcSender::connect(door)
        .map_err(|error| format!("cannot reach the supervisor: {error}"))?
        .send(knock)
        .map_err(|error| format!("cannot reach the supervisor: {error}"))?;
    Ok((orders, reports))
}

/// Waits for the order to stop, or for the supervisor's end.
fn listen(orders: &IpcReceiver<Order>) -> End {
    loop {
        match orders.recv() {
            Ok(Order::Stop) => return End::Stop,
            Ok(Order::Welcome(_) | Order::Manager(_)) => {}
            Err(ipc_channel::IpcError::Io(error)) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return End::Alone,
        }
    }
}

fn begin(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let thread = std::thread::Builder::new().name(name.into()).spawn(run);
    thread.map(drop).map_err(|error| format!("cannot start a thread: {error}"))
}

/// A table with the state that the last manager left.
fn restored(folder: Option<PathBuf>) -> Result<Table, String> {
    let Some(folder) = folder else {
        tracing::warn!("{SHARED_ENV} is not set: the shared state will not survive this process");
        return Ok(Table::new(State::default()));
    };
    let (store, state) = Store::open(&folder).map_err(|error| error.to_string())?;
    Ok(Table::kept_in(state, store, &folder))
}

/// Makes the changes that batches have committed, and that no manager has noticed, in a folder that nobody uses. Before
/// the pages are forgotten.
pub fn settle(dir: &StateDir) -> Result<(), String> {
    let pages = std::fs::read_dir(dir.pages()).into_iter().flatten().flatten();
    let is_open = |page: Page| (0..page.lanes()).any(|lane| page.lane(lane).may_have_shared());
    if !pages.flat_map(|entry| Page::open(&entry.path())).any(is_open) {
        return Ok(());
    }
    let table = restored(Some(dir.shared()))?;
    let mut held = table.close();
    held.settle()
}

/// Every connection of a client takes two descriptors: the manager may have as many as the system lets it.
fn allow_many_clients() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::warn!("cannot raise the limit of open files: {error}");
    }
}
