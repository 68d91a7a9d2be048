//! Finding the manager, and keeping a few connections to it, so that the threads of a process do not wait for each
//! other's answers and a manager that was restarted is found again without anyone's doing.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use brigade_protocol::control::Order;
use brigade_protocol::shared::Connect;
use ipc_channel::ipc::{IpcReceiver, IpcSender};
use ipc_channel::{IpcError, TryRecvError};
use signal_hook::low_level;

use super::SharedError;
use super::connection::Connection;
use super::handle::Types;
use crate::copies::is_copy;

/// How long an operation waits for a manager, at most: starting one takes milliseconds, restarting one up to its backoff.
const MANAGER_TIMEOUT: Duration = Duration::from_secs(30);

/// Connections in use at once, at most; more threads than that take turns.
const CONNECTIONS: usize = 8;

/// Where the manager is, as far as this process knows: what the supervisor says, which is read by whoever waits for it, or
/// what was put in ([`set`](Self::set)). Whoever wants to connect asks [`current`](Self::current).
pub struct ManagerDoor {
    /// Where the supervisor answers.
    orders: Option<Mutex<IpcReceiver<Order>>>,
    standing: Mutex<Standing>,
    changed: Condvar,
    want: Box<dyn Fn() + Send + Sync>,
    patience: Duration,
}

#[derive(Default)]
struct Standing {
    sender: Option<IpcSender<Connect>>,
    /// Counts what was put in.
    generation: u64,
}

impl fmt::Debug for ManagerDoor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let standing = self.lock();
        let (known, generation) = (standing.sender.is_some(), standing.generation);
        f.debug_struct("ManagerDoor").field("known", &known).field("generation", &generation).finish_non_exhaustive()
    }
}

impl ManagerDoor {
    /// A door nobody stands behind yet. `want` asks the supervisor for the manager; it is called, from any thread and
    /// perhaps more than once, when someone waits. It must not block, nor call back into the door.
    pub fn new(want: Box<dyn Fn() + Send + Sync>) -> Self {
        Self { orders: None, standing: Mutex::default(), changed: Condvar::new(), want, patience: MANAGER_TIMEOUT }
    }

    /// Has those who wait read here what the supervisor answers.
    pub(crate) fn told_by(self, orders: IpcReceiver<Order>) -> Self {
        Self { orders: Some(Mutex::new(orders)), ..self }
    }

    /// How long an operation waits for a manager, at most; 30 s if nobody says otherwise. No more than that, for a manager
    /// remembers a client that has not come back for no more than a minute.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience: patience.min(MANAGER_TIMEOUT), ..self }
    }

    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// The manager is here now.
    pub fn set(&self, sender: IpcSender<Connect>) {
        let mut standing = self.lock();
        standing.sender = Some(sender);
        standing.generation += 1;
        drop(standing);
        self.changed.notify_all();
    }

    /// The manager that was put in last is gone. Who finds a connection broken does this by itself; it is for those who
    /// learn it otherwise.
    pub fn mark_gone(&self) {
        self.lock().sender = None;
    }

    /// The manager. If it is not known, it is asked for and waited for; after `timeout`: `NoManager`.
    pub fn current(&self, timeout: Duration) -> Result<IpcSender<Connect>, SharedError> {
        self.find(timeout).map(|(sender, _)| sender)
    }

    pub(super) fn find(&self, timeout: Duration) -> Result<(IpcSender<Connect>, u64), SharedError> {
        let deadline = Instant::now() + timeout;
        let mut standing = self.lock();
        if standing.sender.is_none() {
            drop(standing);
            (self.want)();
            standing = self.lock();
        }
        loop {
            if let Some(sender) = &standing.sender {
                return Ok((sender.clone(), standing.generation));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(SharedError::NoManager { waited: timeout });
            }
            standing = match &self.orders {
                None => self.changed.wait_timeout(standing, left).unwrap_or_else(PoisonError::into_inner).0,
                Some(orders) => {
                    drop(standing);
                    self.hear(orders, left);
                    self.lock()
                }
            };
        }
    }

    /// Waits for what the supervisor answers, or for whoever does so already.
    fn hear(&self, orders: &Mutex<IpcReceiver<Order>>, time: Duration) {
        let orders = orders.lock().unwrap_or_else(PoisonError::into_inner);
        if self.lock().sender.is_some() {
            return; // Whoever waited before us has read it.
        }
        match orders.try_recv_timeout(time) {
            // If it is one that has gone by now, to connect will fail, and it is asked for again.
            Ok(Order::Manager(manager)) => self.set(manager),
            Ok(Order::Stop | Order::Welcome(_)) | Err(TryRecvError::Empty) => {}
            Err(TryRecvError::IpcError(IpcError::Io(error))) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(TryRecvError::IpcError(IpcError::SerializationError(error))) => {
                tracing::warn!("an order of the supervisor is not understood: {error}");
            }
            // The supervisor is gone: ends on the spot, without destructors, for the items that we hold belong to the next
            // run, which may already be sweeping.
            Err(TryRecvError::IpcError(IpcError::Disconnected | IpcError::Io(_))) => low_level::exit(1),
        }
    }

    /// The manager of that generation is gone. A later one that is known by now stays.
    pub(super) fn lost(&self, generation: u64) {
        let mut standing = self.lock();
        if standing.generation == generation {
            standing.sender = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All connections of this process.
#[derive(Debug)]
pub(super) struct Client {
    door: Arc<ManagerDoor>,
    pool: Mutex<Pool>,
    freed: Condvar,
    /// By name: for which types a manager was told last what the values are, and which manager, by the door's count.
    told: Mutex<HashMap<String, Vec<(Types, u64)>>>,
}

#[derive(Debug, Default)]
struct Pool {
    idle: Vec<Connection>,
    lent: usize,
}

impl Client {
    pub(super) fn new(door: Arc<ManagerDoor>) -> Self {
        Self { door, pool: Mutex::default(), freed: Condvar::new(), told: Mutex::default() }
    }

    /// Does something with a connection that nobody else uses meanwhile.
    pub(super) fn with<R>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<R, SharedError>,
    ) -> Result<R, SharedError> {
        if is_copy() {
            return Err(SharedError::ForkedCopy); // First: another thread of the worker may have held the lock at the fork.
        }
        let mut loan = self.borrow()?;
        let connection = loan.connection.as_mut().expect("a loan holds its connection until it ends");
        let result = work(connection);
        if let Err(SharedError::ManagerGone | SharedError::Protocol(_)) = &result {
            // An idle connection to the same manager is dead too: one error per death is enough.
            let generation = connection.generation;
            loan.connection = None;
            self.forget(generation);
        }
        result
    }

    /// Whether the manager of that generation knows what our values under this name are.
    pub(super) fn has_told(&self, name: &str, types: Types, generation: u64) -> bool {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_told = |(other, since): &(Types, u64)| std::ptr::fn_addr_eq(*other, types) && *since == generation;
        told.get(name).is_some_and(|told| told.iter().any(is_told))
    }

    /// It knows now.
    pub(super) fn told(&self, name: &str, types: Types, generation: u64) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let told = told.entry(name.to_owned()).or_default();
        told.retain(|(other, since)| *since == generation && !std::ptr::fn_addr_eq(*other, types));
        told.push((types, generation));
    }

    /// A connection of one's own, outside the number that is shared.
    pub(super) fn connect(&self) -> Result<Connection, SharedError> {
        Connection::new(&self.door)
    }

    /// The manager of that generation is gone.
    pub(super) fn forget(&self, generation: u64) {
        self.door.lost(generation);
        self.lock().idle.retain(|idle| idle.generation > generation);
    }

    fn borrow(&self) -> Result<Loan<'_>, SharedError> {
        let mut pool = self.lock();
        while pool.lent >= CONNECTIONS {
            pool = self.freed.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
        pool.lent += 1;
        let connection = pool.idle.pop();
        drop(pool);
        // From here on the loan gives back its place, whatever happens.
        let mut loan = Loan { client: self, connection };
        if loan.connection.is_none() {
            loan.connection = Some(self.connect()?);
        }
        Ok(loan)
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Loan<'a> {
    client: &'a Client,
    connection: Option<Connection>,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        // One with open operations (its user panicked or failed half-way) would give the next user wrong answers.
        let usable = self.connection.take().filter(|connection| connection.open() == 0);
        let mut pool = self.client.lock();
        pool.lent -= 1;
        pool.idle.extend(usable);
        drop(pool);
        self.client.freed.notify_one();
    }
}
