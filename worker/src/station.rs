//! What one worker process has: its place in the pipeline, its page, its queues, the line to the supervisor. One of it
//! exists per process, and every [`Context`](crate::Context) points at it.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use brigade_protocol::control::{Order, QueueRef, Report, Welcome};
use brigade_protocol::descriptors::{self, Use};
use brigade_protocol::id::ItemId;
use brigade_protocol::page::{Page, PageError};
use brigade_protocol::queue::{Queue, QueueError};
use brigade_protocol::retry::RetryPolicy;
use ipc_channel::ipc::{IpcReceiver, IpcSender};

use crate::copies::is_copy;
use crate::error::{OpenError, RecvError};
use crate::shared::{ManagerDoor, Shared};
use crate::stop::Stop;

/// One queue of the stage, opened.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) queue: Queue,
    /// When its items that fail come again.
    pub(crate) retry: RetryPolicy,
}

pub(crate) struct Station {
    pub(crate) welcome: Welcome,
    pub(crate) stop: Stop,
    pub(crate) inputs: Vec<Line>,
    pub(crate) outputs: Vec<Line>,
    /// Shared lists, maps and counters.
    pub(crate) shared: Shared,
    reports: Arc<Reports>,
    /// Items that this run has dealt with.
    dealt: AtomicU64,
    /// Held while a [`Transaction`](crate::Transaction) commits.
    committing: Mutex<()>,
    /// When failures were last counted from zero, and how many have been told of since.
    told: Mutex<(Instant, u32)>,
    /// A handle of this worker holds all that it could get, and has been told so.
    holds_too_much: AtomicBool,
    /// The error by which the worker ends, whatever its function returns.
    fault: Mutex<Option<RecvError>>,
}

/// Not more failed items than this are told of within the period.
const TELL_FAILURES: u32 = 64;
const TELL_PERIOD: Duration = Duration::from_secs(1);
/// Of an error's words, in characters: the log has all of them.
const TELL_CHARS: usize = 500;

/// The line up to the supervisor, for all threads.
struct Reports(Mutex<IpcSender<Report>>);

impl Reports {
    /// If the supervisor cannot be told, it is gone, and the kernel ends us.
    fn send(&self, report: Report) {
        if is_copy() {
            return; // What a forked copy of the worker has to say is not the worker's.
        }
        if let Err(error) = self.0.lock().unwrap_or_else(PoisonError::into_inner).send(report) {
            tracing::debug!("the supervisor does not hear us: {error}");
        }
    }
}

/// Why the station cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StationError {
    #[error("cannot open the worker's page {path}: {error}")]
    Page { path: String, error: PageError },
    #[error(transparent)]
    Queue(#[from] OpenError),
}

impl Station {
    /// Opens the page and all queues that the welcome names.
    pub(crate) fn new(
        welcome: Welcome,
        orders: IpcReceiver<Order>,
        reports: IpcSender<Report>,
    ) -> Result<Self, StationError> {
        let page = open_page(Path::new(&welcome.page))
            .map_err(|error| StationError::Page { path: welcome.page.clone(), error })?;
        let inputs = welcome.inputs.iter().map(|queue| open(queue, &[])).collect::<Result<Vec<_>, _>>()?;
        // A queue that a stage feeds back into itself is mapped once.
        let outputs = welcome.outputs.iter().map(|queue| open(queue, &inputs)).collect::<Result<Vec<_>, _>>()?;
        let queues = inputs.iter().chain(&outputs).map(|line| line.queue.clone()).collect();
        let reports = Arc::new(Reports(Mutex::new(reports)));
        let asking = Arc::clone(&reports);
        let manager = ManagerDoor::new(Box::new(move || asking.send(Report::WantManager))).told_by(orders);
        let shared = Shared::new(Arc::new(manager));
        let told = Mutex::new((Instant::now(), 0));
        Ok(Self {
            stop: Stop::new(page, queues),
            welcome,
            inputs,
            outputs,
            shared,
            reports,
            told,
            dealt: AtomicU64::new(0),
            committing: Mutex::new(()),
            holds_too_much: AtomicBool::new(false),
            fault: Mutex::new(None),
        })
    }

    /// Tells the supervisor something.
    pub(crate) fn report(&self, report: Report) {
        self.reports.send(report);
    }

    /// Tells the supervisor that an item could not be done, before it is given back: should it be a dead letter then, its
    /// history is known. A worker that fails very often does not tell each time.
    pub(crate) fn item_failed(&self, queue: &str, item: ItemId, words: &str) {
        if is_copy() {
            return;
        }
        let may_tell = {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.0.elapsed() >= TELL_PERIOD {
                *told = (Instant::now(), 0);
            }
            told.1 += 1;
            told.1 <= TELL_FAILURES
        };
        if may_tell {
            let words = words.chars().take(TELL_CHARS).collect();
            self.report(Report::ItemFailed { queue: queue.to_owned(), item, words });
        }
    }

    /// Whether a handle of this worker holds all that it could get, and the worker was told so and has done nothing about it.
    pub(crate) fn holds_too_much(&self) -> bool {
        self.holds_too_much.load(Ordering::Relaxed)
    }

    pub(crate) fn set_holds_too_much(&self, holds: bool) {
        self.holds_too_much.store(holds, Ordering::Relaxed);
    }

    /// Ends the worker by an error that its code cannot be given. The thread unwinds, so that no code runs which takes this
    /// for the end of the stream; the other threads finish what they hold.
    pub(crate) fn end_by(&self, error: RecvError) -> ! {
        let words = error.to_string();
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.stop.give_up();
        if cfg!(panic = "abort") {
            tracing::error!("the worker failed: {words}");
            self.report(Report::Failed { words: words.clone(), permanent: false, outage: false });
        }
        std::panic::resume_unwind(Box::new(words))
    }

    /// The error by which the worker has to end, if there is one.
    pub(crate) fn take_fault(&self) -> Option<RecvError> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Nobody else of this process commits a transaction meanwhile.
    pub(crate) fn lock_lane(&self) -> MutexGuard<'_, ()> {
        self.committing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more item is dealt with, done or failed. After the last that this run may have, it takes no more.
    #[inline]
    pub(crate) fn dealt_with_one(&self) {
        self.dealt_with(1);
    }

    /// The same for several.
    #[inline]
    pub(crate) fn dealt_with(&self, items: u64) {
        let Some(most) = self.welcome.max_items else { return };
        // Relaxed: only the count matters.
        if self.dealt.fetch_add(items, Ordering::Relaxed) + items >= most {
            self.stop.retire();
        }
    }

    /// How many of so many items it may take, at least one: not more than this run of it is allowed.
    #[inline]
    pub(crate) fn allowed(&self, wanted: usize) -> usize {
        let Some(most) = self.welcome.max_items else { return wanted };
        let left = most.saturating_sub(self.dealt.load(Ordering::Relaxed)).max(1);
        wanted.min(usize::try_from(left).unwrap_or(usize::MAX))
    }

    /// Whether it takes items; if not, it is a source or stands alone, and a drain is meant for it.
    #[inline]
    pub(crate) fn takes_items(&self) -> bool {
        !self.inputs.is_empty()
    }

    /// Whether the code should stop what it does by itself.
    pub(crate) fn stop_requested(&self) -> bool {
        if self.takes_items() { self.stop.now() } else { self.stop.asked() }
    }
}

fn open(queue: &QueueRef, already: &[Line]) -> Result<Line, OpenError> {
    let open = already.iter().find(|line| line.name == queue.name).map(|line| Ok(line.queue.clone()));
    match open.unwrap_or_else(|| open_queue(&queue.name, Path::new(&queue.path))) {
        Ok(opened) => Ok(Line { name: queue.name.clone(), queue: opened, retry: queue.retry }),
        Err(error) => Err(OpenError::Queue { queue: queue.name.clone(), error }),
    }
}

fn open_page(path: &Path) -> Result<Page, PageError> {
    match descriptors::file(&Use::Page) {
        Ok(Some(file)) => Page::of_file(path, &file),
        Ok(None) => Page::open(path),
        Err(source) => Err(PageError::Io { what: "take over the descriptor of", path: path.to_owned(), source }),
    }
}

fn open_queue(name: &str, path: &Path) -> Result<Queue, QueueError> {
    match descriptors::file(&Use::Queue(name.to_owned())) {
        Ok(Some(file)) => Queue::of_file(path, file),
        Ok(None) => Queue::open(path),
        Err(source) => Err(QueueError::Io { what: "take over the descriptor of", path: path.to_owned(), source }),
    }
}
