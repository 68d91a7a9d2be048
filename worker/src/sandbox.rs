//! A worker's surroundings for unit tests: queues and a page in a temporary folder, and the supervisor's end of the
//! line to it. Without it no test could run an SDK's loop without starting processes.

use std::sync::{Arc, Mutex};

use brigade_protocol::codec;
use brigade_protocol::control::{Order, QueueRef, Report, Welcome};
use brigade_protocol::id::{Incarnation, Post};
use brigade_protocol::page::Page;
use brigade_protocol::queue::{Geometry, Member, Queue};
use brigade_protocol::retry::RetryPolicy;
use ipc_channel::ipc::{self, IpcReceiver, IpcSender};
use serde::{Serialize, de::DeserializeOwned};

use crate::context::Context;
use crate::station::Station;

pub(crate) const CAPACITY: u32 = 4;
pub(crate) const MAX_DELIVERIES: u16 = 3;

pub(crate) struct Sandbox {
    pub(crate) ctx: Context,
    pub(crate) page: Page,
    reports: Mutex<IpcReceiver<Report>>,
    _orders: Mutex<IpcSender<Order>>,
    _dir: tempfile::TempDir,
}

/// A worker `double/1` with these queues and one thread.
pub(crate) fn sandbox(inputs: &[&str], outputs: &[&str]) -> Sandbox {
    sandbox_with(inputs, outputs, |_| {})
}

pub(crate) fn sandbox_with(inputs: &[&str], outputs: &[&str], change: impl FnOnce(&mut Welcome)) -> Sandbox {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let made = |name: &&str| {
        let path = dir.path().join(name);
        let geometry =
            Geometry { capacity: CAPACITY, item_bytes: 64, max_item_bytes: 256, max_deliveries: Some(MAX_DELIVERIES) };
        Queue::create(&path, &geometry).expect("a queue file");
        QueueRef { name: name.to_string(), path: path.to_str().expect("UTF-8").to_owned(), retry: RetryPolicy::AT_ONCE }
    };
    let mut welcome = Welcome {
        pipeline: "sums".into(),
        stage: "double".into(),
        replica: 1,
        replicas: 2,
        post: Post(3),
        incarnation: Incarnation(1),
        threads: 1,
        batch: 1,
        batch_time: std::time::Duration::from_millis(20),
        exit_on_panic: false,
        max_items: None,
        page: dir.path().join("3.page").to_str().expect("UTF-8").to_owned(),
        inputs: inputs.iter().map(made).collect(),
        outputs: outputs.iter().map(made).collect(),
    };
    change(&mut welcome);
    let page = Page::create(welcome.page.as_ref(), welcome.post, welcome.threads).expect("a page");
    page.begin(welcome.incarnation);
    let (sender, reports) = ipc::channel().expect("a channel");
    let (orders, its_orders) = ipc::channel().expect("a channel");
    let station = Station::new(welcome, its_orders, sender).expect("a station");
    Sandbox {
        ctx: Context::new(Arc::new(station), 0),
        page,
        reports: Mutex::new(reports),
        _orders: Mutex::new(orders),
        _dir: dir,
    }
}

impl Sandbox {
    /// One of the worker's queues, as the rest of the pipeline sees it.
    pub(crate) fn queue(&self, name: &str) -> Queue {
        let station = self.ctx.station();
        let line = station.inputs.iter().chain(&station.outputs).find(|line| line.name == name);
        line.expect("the queue was made").queue.clone()
    }

    fn neighbour(&self, queue: &str) -> Member {
        self.queue(queue).join(Post(9), 0).expect("a place")
    }

    /// Another worker sends these.
    pub(crate) fn feed<T: Serialize>(&self, queue: &str, items: impl IntoIterator<Item = T>) {
        let mut member = self.neighbour(queue);
        for item in items {
            let mut bytes = Vec::new();
            codec::encode(&item, &mut bytes).expect("the item has an encoding");
            member.try_send(&bytes).expect("there is room");
        }
    }

    /// Another worker takes and acknowledges all that is ready: deliveries and items.
    pub(crate) fn take<T: DeserializeOwned>(&self, queue: &str) -> Vec<(u16, T)> {
        let mut member = self.neighbour(queue);
        let mut items = Vec::new();
        while let Ok(lease) = member.try_recv() {
            items.push((lease.deliveries(), codec::decode(member.bytes(&lease)).expect("an item of this type")));
            member.ack(lease);
        }
        items
    }

    /// Items that became dead letters.
    pub(crate) fn dead(&self, queue: &str) -> usize {
        self.queue(queue).depth().dead as usize
    }

    /// What the supervisor would say that the worker has processed.
    pub(crate) fn processed(&self) -> u64 {
        let (station, post) = (self.ctx.station(), self.ctx.station().welcome.post);
        let work = |line: &crate::station::Line| line.queue.work().filter(|it| it.post == post).collect::<Vec<_>>();
        if station.takes_items() {
            station.inputs.iter().flat_map(work).map(|it| it.acked).sum()
        } else {
            station.outputs.iter().flat_map(work).map(|it| it.sent).sum()
        }
    }

    /// What the worker has reported since the last call.
    pub(crate) fn reports(&self) -> Vec<Report> {
        let reports = self.reports.lock().expect("no panic while it is held");
        std::iter::from_fn(|| reports.try_recv().ok()).collect()
    }

    /// The supervisor says: stop now.
    pub(crate) fn stop_now(&self) {
        self.page.ask_stop(brigade_protocol::page::StopWord::Now);
        self.ctx.station().stop.wake();
    }
}

/// Waits until `condition` holds.
pub(crate) fn until(condition: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "it did not come true in 30 s");
        std::thread::yield_now();
    }
}
