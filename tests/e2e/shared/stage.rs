//! Managers to test with, in this process and in another one.

use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use brigade::manager::serve::serve;
use brigade::manager::state::State;
use brigade::manager::table::Table;
use brigade_protocol::control::{DOOR_ENV, Knock, Order, Report, TOKEN_ENV, Welcome};
use brigade_protocol::id::{Incarnation, Post};
use brigade_protocol::shared::{Connect, SHARED_ENV};
use brigade_worker::shared::{ManagerDoor, Shared};
use ipc_channel::ipc::{self, IpcOneShotServer, IpcReceiver, IpcSender};

pub const LIMIT: Duration = Duration::from_secs(60);

pub fn until(what: &str, mut seen: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !seen() {
        assert!(Instant::now() < deadline, "never came: {what}");
        thread::yield_now();
    }
}

pub fn door(sender: IpcSender<Connect>) -> Shared {
    // Nobody starts another manager here: no use in waiting for one.
    let door = ManagerDoor::new(Box::new(|| {})).with_patience(Duration::from_millis(1));
    door.set(sender);
    Shared::new(Arc::new(door))
}

/// A manager in this process.
pub fn inside() -> (IpcSender<Connect>, Arc<Table>) {
    let (sender, connects) = ipc::channel().expect("a channel");
    let table = Arc::new(Table::new(State::default()));
    let own = Arc::clone(&table);
    thread::spawn(move || serve(&connects, &own));
    (sender, table)
}

pub fn shared() -> Shared {
    door(inside().0)
}

/// A manager in a process of its own, started as the supervisor does it.
pub struct Manager {
    pub child: Child,
    pub orders: IpcSender<Order>,
    pub reports: IpcReceiver<Report>,
    pub sender: IpcSender<Connect>,
}

impl Manager {
    pub fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[])
    }

    /// With these variables in its environment.
    pub fn start_with(folder: &Path, variables: &[(&str, &str)]) -> Self {
        let (server, name) = IpcOneShotServer::<Knock>::new().expect("a server");
        let child = Command::new(env!("CARGO_BIN_EXE_shared-manager"))
            .env(DOOR_ENV, name)
            .env(TOKEN_ENV, "secret")
            .env(SHARED_ENV, folder)
            .envs(variables.iter().copied())
            .spawn()
            .expect("the manager can be started");
        let (_, Knock { orders, reports, token, .. }) = server.accept().expect("the manager knocks");
        assert_eq!(token, "secret");
        let welcome = Welcome {
            pipeline: "test".into(),
            stage: "manager".into(),
            replica: 0,
            replicas: 1,
            post: Post(1),
            incarnation: Incarnation(1),
            threads: 1,
            batch: 1,
            batch_time: std::time::Duration::ZERO,
            exit_on_panic: false,
            max_items: None,
            page: String::new(),
            inputs: vec![],
            outputs: vec![],
        };
        orders.send(Order::Welcome(Box::new(welcome))).expect("the manager listens");
        let Ok(Report::ManagerOpen(sender)) = reports.recv() else { panic!("the manager opens first") };
        let Ok(Report::Ready) = reports.recv() else { panic!("then it is ready") };
        Self { child, orders, reports, sender }
    }

    pub fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().expect("it is our child").code()
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
