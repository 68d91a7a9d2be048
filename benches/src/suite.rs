//! All cases.

use std::io;
use std::time::Duration;

use crate::brigade::{pipeline, rest, threads};
use crate::case::{Case, Contestant, Unit};
use crate::peers::{Shape, channel, crossbeam, pipe, python, ring, start};

/// How much is measured.
#[derive(Clone, Copy)]
pub struct Scale {
    /// How often.
    pub rounds: usize,
    /// Small items in a run of the fastest.
    pub items: u64,
    /// Bytes in a run of large items.
    bytes: u64,
    /// Round trips.
    trips: u64,
    /// The most items of the case in which they grow.
    most: u64,
}

impl Scale {
    /// What figures are made of.
    pub const WHOLE: Self = Self { rounds: 7, items: 4_000_000, bytes: 4 << 30, trips: 100_000, most: 100_000_000 };
    /// To see that it works.
    pub const QUICK: Self = Self { rounds: 3, items: 200_000, bytes: 256 << 20, trips: 2_000, most: 1_000_000 };

    fn shape(self, bytes: usize, batch: usize) -> Shape {
        Shape { items: (self.bytes / bytes as u64).clamp(64, self.items), bytes, batch }
    }

    /// The same for a peer that is so many times slower.
    fn slower(self, bytes: usize, batch: usize, times: u64) -> Shape {
        let shape = self.shape(bytes, batch);
        Shape { items: (shape.items / times).max(64), ..shape }
    }
}

pub const BRIGADE: &str = "Brigade, bytes";
pub const PYTHON: &str = "Python multiprocessing.Queue";
pub const RING: &str = "raw ring of one sender and one receiver";
pub const CROSSBEAM: &str = "crossbeam-channel, threads";
pub const CHANNEL: &str = "ipc-channel, bytes";
pub const CHANNEL_TYPED: &str = "ipc-channel, typed";
pub const ZEROMQ: &str = "ZeroMQ over ipc";
pub const ICEORYX: &str = "iceoryx2, polling";
pub const REDIS: &str = "Redis streams, acked";
pub const TYPED: &str = "Brigade, values";
pub const STRUCTS: &str = "Brigade, structs with strings";
pub const STRUCTS_IN_PLACE: &str = "Brigade, structs with strings, in place";
pub const EXACTLY_ONCE: &str = "Brigade, exactly once, batch = 64";
pub const LOG: &str = "Brigade, no shared maps";
pub const LOG_COUNTED: &str = "Brigade, two additions to shared maps a line";
pub const BY_HAND: &str = "Brigade, plain handles, 64 at a time";

/// All of them.
pub fn cases(scale: Scale) -> Vec<Case> {
    let mut cases: Vec<Case> = [16, 64, 1 << 10, 64 << 10, 1 << 20].map(|bytes| one_by_one(scale, bytes)).into();
    cases.extend([16, 64, 1 << 10].map(|bytes| in_batches(scale, bytes)));
    cases.extend([64 << 10, 1 << 20].map(|bytes| in_place(scale, bytes)));
    cases.extend([
        typed(scale),
        large_values(scale),
        threads_alone(scale),
        retries_wait(scale, 1 << 10),
        retries_wait(scale, 1 << 17),
        many(scale),
        hand_on(scale),
        pipeline_of_three(scale),
        log_lines(scale),
        tasks(scale),
    ]);
    cases.extend([round_trip_awake(scale), round_trip_asleep(scale)]);
    cases.extend([list_push(scale), list_extend(scale), map_insert(scale), worker_start(), idle(scale)]);
    cases.extend([capacity_grows(scale), replicas_grow(scale), items_grow(scale)]);
    cases
}

fn size(bytes: usize) -> String {
    match bytes {
        _ if bytes >= 1 << 20 => format!("{}MiB", bytes >> 20),
        _ if bytes >= 1 << 10 => format!("{}KiB", bytes >> 10),
        _ => format!("{bytes}B"),
    }
}

fn case(id: impl Into<String>, title: impl Into<String>, unit: Unit, contestants: Vec<Contestant>) -> Case {
    Case { id: id.into(), title: title.into(), unit, contestants }
}

fn zeromq(shape: Shape) -> Contestant {
    #[cfg(feature = "zmq")]
    return Contestant::new(ZEROMQ, move || crate::peers::zeromq::run(shape));
    #[cfg(not(feature = "zmq"))]
    {
        let _ = shape;
        Contestant::missing(ZEROMQ, "missing: build with --features zmq")
    }
}

fn zeromq_trips(shape: Shape, pause: Duration) -> Contestant {
    #[cfg(feature = "zmq")]
    return Contestant::times(ZEROMQ, move || crate::peers::zeromq::round_trip(shape, pause));
    #[cfg(not(feature = "zmq"))]
    {
        let _ = (shape, pause);
        Contestant::missing(ZEROMQ, "missing: build with --features zmq")
    }
}

fn iceoryx(shape: Shape) -> Contestant {
    #[cfg(feature = "iceoryx2")]
    return Contestant::new(ICEORYX, move || crate::peers::iceoryx::run(shape));
    #[cfg(not(feature = "iceoryx2"))]
    {
        let _ = shape;
        Contestant::missing(ICEORYX, "missing: build with --features iceoryx2")
    }
}

fn redis(shape: Shape) -> Contestant {
    #[cfg(feature = "redis")]
    return Contestant::new(REDIS, move || crate::peers::redis::run(shape));
    #[cfg(not(feature = "redis"))]
    {
        let _ = shape;
        Contestant::missing(REDIS, "missing: build with --features redis; needs redis-server")
    }
}

fn one_by_one(scale: Scale, bytes: usize) -> Case {
    let (shape, slow, slower) = (scale.shape(bytes, 1), scale.slower(bytes, 1, 8), scale.slower(bytes, 1, 40));
    let slowest = scale.slower(bytes, 1, 160);
    let contestants = vec![
        Contestant::new(BRIGADE, move || pipeline::pair("raw", shape, true)),
        Contestant::new(RING, move || ring::run(shape, true)),
        Contestant::new(CROSSBEAM, move || crossbeam::run(shape)),
        Contestant::new("pipe", move || pipe::run(slow)),
        Contestant::new(CHANNEL, move || channel::run(slow)),
        Contestant::new(CHANNEL_TYPED, move || channel::run_typed(slow)),
        zeromq(slow),
        iceoryx(slow),
        redis(slowest),
        Contestant::new(PYTHON, move || python::queue(slower)),
    ];
    let title = format!("{}, copied out and acked one by one", size(bytes));
    case(format!("one-{}", size(bytes)), title, Unit::ItemsPerSecond, contestants)
}

fn in_batches(scale: Scale, bytes: usize) -> Case {
    let (shape, slow, slower) = (scale.shape(bytes, 64), scale.slower(bytes, 1, 8), scale.slower(bytes, 1, 40));
    let redis_shape = scale.slower(bytes, 64, 20);
    let contestants = vec![
        Contestant::new(BRIGADE, move || pipeline::pair("raw", shape, true)),
        Contestant::new(RING, move || ring::run(shape, true)),
        Contestant::new(CHANNEL, move || channel::run(slow)),
        zeromq(slow),
        redis(redis_shape),
        Contestant::new(PYTHON, move || python::queue(slower)),
    ];
    let title = format!("{}, sent and acked 64 at a time (of the peers, ring and Redis too)", size(bytes));
    case(format!("batch-{}", size(bytes)), title, Unit::ItemsPerSecond, contestants)
}

fn in_place(scale: Scale, bytes: usize) -> Case {
    let (shape, slow, slower) = (scale.shape(bytes, 1), scale.slower(bytes, 1, 2), scale.slower(bytes, 1, 8));
    let contestants = vec![
        Contestant::new(BRIGADE, move || pipeline::pair("raw", shape, false)),
        Contestant::new(RING, move || ring::run(shape, false)),
        Contestant::new(CROSSBEAM, move || crossbeam::run(shape)),
        Contestant::new(CHANNEL, move || channel::run(slow)),
        zeromq(slow),
        iceoryx(slow),
        Contestant::new(PYTHON, move || python::queue(slower)),
    ];
    let title = format!("{}, read in place and acked one by one", size(bytes));
    case(format!("place-{}", size(bytes)), title, Unit::ItemsPerSecond, contestants)
}

fn typed(scale: Scale) -> Case {
    let (one, many, slower) = (scale.shape(64, 1), scale.shape(64, 64), scale.slower(64, 1, 40));
    let contestants = vec![
        Contestant::new(TYPED, move || pipeline::pair("typed", one, false)),
        Contestant::new(STRUCTS, move || pipeline::pair("structs", one, false)),
        Contestant::new(STRUCTS_IN_PLACE, move || pipeline::pair("visits", one, false)),
        Contestant::new(BRIGADE, move || pipeline::pair("raw", one, true)),
        Contestant::new("Brigade, values, 64 at a time", move || pipeline::pair("typed", many, false)),
        Contestant::new("Brigade, structs, 64 at a time", move || pipeline::pair("structs", many, false)),
        Contestant::new(PYTHON, move || python::queue(slower)),
    ];
    case("typed", "64 B, values encoded and decoded", Unit::ItemsPerSecond, contestants)
}

fn large_values(scale: Scale) -> Case {
    let shape = scale.shape(64 << 10, 1);
    let contestants = vec![
        Contestant::new(TYPED, move || pipeline::pair("blocks", shape, false)),
        Contestant::new(BRIGADE, move || pipeline::pair("raw", shape, false)),
    ];
    case("typed-64KiB", "64 KiB, values encoded, and decoded in place", Unit::ItemsPerSecond, contestants)
}

fn threads_alone(scale: Scale) -> Case {
    let shape = scale.shape(64, 1);
    let contestants = vec![
        Contestant::new("Brigade, bare queue", move || threads::run(shape, 1024, 0)),
        Contestant::new(CROSSBEAM, move || crossbeam::run(shape)),
    ];
    case("threads", "64 B between two threads of one process", Unit::ItemsPerSecond, contestants)
}

/// Nine tenths of a queue wait for a retry, beside a queue of as many slots as are left.
fn retries_wait(scale: Scale, capacity: u32) -> Case {
    let (shape, waiting) = (scale.shape(64, 1), capacity / 10 * 9);
    let contestants = vec![
        Contestant::new(format!("{waiting} of {capacity} wait"), move || threads::run(shape, capacity, waiting)),
        Contestant::new("none waits", move || threads::run(shape, capacity - waiting, 0)),
    ];
    let title = "64 B between two threads, beside items that wait for a retry";
    case(format!("retries-wait-{capacity}"), title, Unit::ItemsPerSecond, contestants)
}

fn many(scale: Scale) -> Case {
    let shape = scale.shape(64, 1);
    let contestants = [1, 2, 4]
        .map(|each| Contestant::new(format!("Brigade, {each} to {each}"), move || pipeline::many(each, shape, 1024)));
    case("many", "64 B, several senders and receivers at one queue", Unit::ItemsPerSecond, contestants.into())
}

fn hand_on(scale: Scale) -> Case {
    let items = scale.items;
    let contestants = vec![
        Contestant::new(EXACTLY_ONCE, move || pipeline::line("pass", 64, items)),
        Contestant::new("Brigade, exactly once, batch = 1", move || pipeline::line("pass", 1, items)),
        Contestant::new(BY_HAND, move || pipeline::line("relay", 64, items)),
        Contestant::new("Brigade, plain handles, one by one", move || pipeline::line("relay", 1, items)),
    ];
    let title = "64 B through a stage in the middle, three processes";
    case("hand-on", title, Unit::ItemsPerSecond, contestants)
}

fn pipeline_of_three(scale: Scale) -> Case {
    let items = scale.items;
    let contestants = vec![
        Contestant::new(EXACTLY_ONCE, move || pipeline::line("pass", 64, items)),
        Contestant::new("Python, three stages", move || python::script("mp_pipeline.py", &[items / 80])),
    ];
    case("pipeline", "64 B through three stages", Unit::ItemsPerSecond, contestants)
}

fn log_lines(scale: Scale) -> Case {
    let lines = scale.items / 2;
    let contestants = vec![
        Contestant::new(LOG_COUNTED, move || pipeline::log("log-count", lines)),
        Contestant::new(LOG, move || pipeline::log("log-parse", lines)),
    ];
    case("log", "lines of a log, parsed, and their status codes counted", Unit::ItemsPerSecond, contestants)
}

fn tasks(scale: Scale) -> Case {
    let items = scale.items / 8;
    let contestants = vec![
        Contestant::new("Brigade, two workers", move || pipeline::tasks(items)),
        Contestant::new("Python Pool.map, chunksize 1", move || python::script("mp_pool.py", &[items / 20])),
    ];
    let title = "tasks handed out and results taken, one by one, two workers";
    case("tasks", title, Unit::ItemsPerSecond, contestants)
}

/// Both sides at work all the time.
fn round_trip_awake(scale: Scale) -> Case {
    let spinning = Shape { items: scale.trips, bytes: 64, batch: 1 };
    let few = Shape { items: scale.trips / 10, ..spinning };
    let contestants = vec![
        Contestant::times("Brigade, try_recv", move || pipeline::round_trip(spinning.items, true, 0)),
        Contestant::times("Brigade, recv", move || pipeline::round_trip(spinning.items, false, 0)),
        Contestant::times(RING, move || ring::round_trip(spinning, Duration::ZERO)),
        Contestant::times("pipe", move || pipe::round_trip(few, Duration::ZERO)),
        Contestant::times(CHANNEL, move || channel::round_trip(few, Duration::ZERO)),
        zeromq_trips(few, Duration::ZERO),
        Contestant::times(PYTHON, move || python::round_trip(few, Duration::ZERO)),
    ];
    case("trip-awake", "round trips of 64 B, both sides at work", Unit::Nanoseconds, contestants)
}

/// The other side sleeps when the item comes, and this one when the answer does.
fn round_trip_asleep(scale: Scale) -> Case {
    const PAUSE: Duration = Duration::from_micros(500);
    let asleep = Shape { items: scale.trips / 50, bytes: 64, batch: 2 };
    let contestants = vec![
        Contestant::times("Brigade, recv", move || pipeline::round_trip(asleep.items, false, 500)),
        Contestant::times(RING, move || ring::round_trip(asleep, PAUSE)),
        Contestant::times("pipe", move || pipe::round_trip(asleep, PAUSE)),
        Contestant::times(CHANNEL, move || channel::round_trip(asleep, PAUSE)),
        zeromq_trips(asleep, PAUSE),
        Contestant::times(PYTHON, move || python::round_trip(asleep, PAUSE)),
    ];
    case("trip-asleep", "round trips of 64 B after a pause, blocking", Unit::Nanoseconds, contestants)
}

fn list_push(scale: Scale) -> Case {
    let items = scale.items / 8;
    let contestants = vec![
        Contestant::new("Brigade, SharedList::push", move || pipeline::alone("push", items)),
        Contestant::new("Python Manager().list.append", move || python::script("mp_manager_list.py", &[items / 20, 1])),
    ];
    let title = "numbers added to a shared list one by one";
    case("list-push", title, Unit::ItemsPerSecond, contestants)
}

fn list_extend(scale: Scale) -> Case {
    let items = scale.items;
    let contestants = vec![
        Contestant::new("Brigade, SharedList::extend", move || pipeline::alone("extend", items)),
        Contestant::new("Python Manager().list.append", move || {
            python::script("mp_manager_list.py", &[items / 160, 1])
        }),
        Contestant::new("Python Manager().list.extend", move || python::script("mp_manager_list.py", &[items, 1000])),
    ];
    let title = "numbers added to a shared list, a thousand at a time";
    case("list-extend", title, Unit::ItemsPerSecond, contestants)
}

fn map_insert(scale: Scale) -> Case {
    let items = scale.items / 8;
    let contestants = vec![
        Contestant::new("Brigade, SharedMap::insert", move || pipeline::alone("insert", items)),
        Contestant::new("Python Manager().dict", move || python::script("mp_manager_dict.py", &[items / 20])),
    ];
    case("map-insert", "numbers set in a shared map one by one", Unit::ItemsPerSecond, contestants)
}

fn worker_start() -> Case {
    let contestants = vec![
        Contestant::new("Brigade, from its start to ready", || rest::start(20)),
        Contestant::new("fork, exec, hello over ipc-channel", || middle_of(20, start::run)),
    ];
    case("start", "a worker's start", Unit::Nanoseconds, contestants)
}

fn middle_of(times: usize, run: fn() -> io::Result<f64>) -> io::Result<f64> {
    let mut numbers = (0..times).map(|_| run()).collect::<io::Result<Vec<_>>>()?;
    numbers.sort_by(f64::total_cmp);
    Ok(numbers[times / 2])
}

fn idle(scale: Scale) -> Case {
    let time = Duration::from_secs(if scale.rounds > 3 { 3 } else { 1 });
    let contestants = [1, 10, 100].map(|workers| {
        Contestant::new(format!("Brigade, {workers} workers at rest"), move || rest::idle(workers, time))
    });
    case("idle", "what a supervisor takes of a processor at rest", Unit::Millionths, contestants.into())
}

fn capacity_grows(scale: Scale) -> Case {
    let shape = scale.shape(64, 1);
    let capacities = [16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576];
    let contestants = capacities
        .map(|capacity| Contestant::new(format!("capacity {capacity}"), move || pipeline::many(1, shape, capacity)));
    case("grow-capacity", "64 B, as the capacity grows", Unit::ItemsPerSecond, contestants.into())
}

fn replicas_grow(scale: Scale) -> Case {
    // Enough to make little of the time in which 128 workers start.
    let shape = Shape { items: 4 * scale.items, ..scale.shape(64, 1) };
    let contestants = [1, 2, 4, 8, 16, 32, 64]
        .map(|each| Contestant::new(format!("{each} to {each}"), move || pipeline::many(each, shape, 1024)));
    case("grow-replicas", "64 B, as senders and receivers grow in number", Unit::ItemsPerSecond, contestants.into())
}

fn items_grow(scale: Scale) -> Case {
    let powers = (3..=8).map(|power| 10u64.pow(power)).filter(|items| *items <= scale.most);
    let contestants = powers.map(|items| {
        let shape = Shape { items, bytes: 64, batch: 1 };
        Contestant::new(format!("{items} items"), move || pipeline::pair("raw", shape, true))
    });
    case("grow-items", "64 B, as the items grow in number", Unit::ItemsPerSecond, contestants.collect())
}
