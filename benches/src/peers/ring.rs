//! A ring in shared memory for one sender and one receiver, without acks, owners or recovery: what the hardware can do at
//! most, if one process copies into shared memory and another out of it.

use std::fs::{File, OpenOptions};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use brigade_protocol::shm::{EventCount, Region, Words};

use super::{Shape, ended, start, timed, trips};

const HEAD: usize = 0;
const TAIL: usize = 128;
const ITEMS: usize = 384;
const SLOTS: usize = 4096;
/// Bytes under way at most, and items.
const BYTES: usize = 8 << 20;
const CAPACITY: usize = 1024;

struct Ring {
    region: Arc<Region>,
    head: Words,
    tail: Words,
    items: EventCount,
    bytes: usize,
    stride: usize,
    capacity: u64,
    /// The other side's place when it was last looked at, and one's own when it was last published.
    seen: u64,
    published: u64,
    own: u64,
}

impl Ring {
    fn capacity(bytes: usize) -> usize {
        (BYTES / bytes.next_multiple_of(64)).clamp(16, CAPACITY)
    }

    fn create(path: &str, bytes: usize) -> io::Result<()> {
        let len = (SLOTS + Self::capacity(bytes) * bytes.next_multiple_of(64)) as u64;
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
        file.set_len(len)
    }

    fn open(path: &str, bytes: usize) -> io::Result<Self> {
        let file: File = OpenOptions::new().read(true).write(true).open(path)?;
        let len = file.metadata()?.len() as usize;
        let region = Region::map(&file, len)?;
        Ok(Self {
            head: region.words(HEAD, 1),
            tail: region.words(TAIL, 1),
            items: region.event(ITEMS),
            region,
            bytes,
            stride: bytes.next_multiple_of(64),
            capacity: Self::capacity(bytes) as u64,
            seen: 0,
            published: 0,
            own: 0,
        })
    }

    fn slot(&self) -> usize {
        SLOTS + (self.own % self.capacity) as usize * self.stride
    }

    fn push(&mut self, item: &[u8], batch: u64) {
        while self.own - self.seen >= self.capacity {
            self.publish_tail();
            self.seen = self.head.at(0).load(Ordering::Acquire);
            std::hint::spin_loop();
        }
        self.region.write(self.slot(), item);
        self.own += 1;
        if self.own - self.published >= batch {
            self.publish_tail();
        }
    }

    fn publish_tail(&mut self) {
        if self.published != self.own {
            self.tail.at(0).store(self.own, Ordering::Release);
            self.published = self.own;
        }
    }

    fn publish_head(&mut self) {
        if self.published != self.own {
            self.head.at(0).store(self.own, Ordering::Release);
            self.published = self.own;
        }
    }

    fn is_empty(&mut self) -> bool {
        if self.own == self.seen {
            self.seen = self.tail.at(0).load(Ordering::Acquire);
        }
        self.own == self.seen
    }

    fn pop(&mut self, batch: u64, mut look: impl FnMut(&[u8])) {
        while self.is_empty() {
            self.publish_head();
            std::hint::spin_loop();
        }
        look(self.region.bytes(self.slot(), self.bytes));
        self.own += 1;
        if self.own - self.published >= batch {
            self.publish_head();
        }
    }

    /// The same, asleep until an item is there.
    fn pop_asleep(&mut self, mut look: impl FnMut(&[u8])) {
        while self.is_empty() {
            let ticket = self.items.prepare();
            if !self.is_empty() {
                break;
            }
            self.items.wait(ticket, Duration::from_secs(1));
        }
        look(self.region.bytes(self.slot(), self.bytes));
        self.own += 1;
        self.publish_head();
    }

    fn push_awake(&mut self, item: &[u8]) {
        self.region.write(self.slot(), item);
        self.own += 1;
        self.tail.at(0).swap(self.own, Ordering::SeqCst); // The event count asks for it.
        self.published = self.own;
        self.items.notify();
    }
}

/// From one process to another; the bytes are copied out, or looked at in place.
pub fn run(shape: Shape, copies: bool) -> io::Result<f64> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("ring").display().to_string();
    Ring::create(&path, shape.bytes)?;
    let mut ring = Ring::open(&path, shape.bytes)?;
    let sender = start("ring", shape, &path)?;
    let mut copy = vec![0; shape.bytes];
    let rate = timed(shape, || {
        ring.pop(shape.batch as u64, |item| {
            if copies {
                copy.copy_from_slice(item);
                std::hint::black_box(&copy);
            } else {
                std::hint::black_box(item.iter().step_by(64).fold(0u8, |sum, byte| sum.wrapping_add(*byte)));
            }
        });
        Ok(())
    })?;
    ended(sender)?;
    Ok(rate)
}

/// The other side of [`run`].
pub fn send(shape: Shape, path: &str) -> io::Result<()> {
    let (mut ring, item) = (Ring::open(path, shape.bytes)?, vec![7; shape.bytes]);
    (0..shape.items).for_each(|_| ring.push(&item, shape.batch as u64));
    ring.publish_tail();
    Ok(())
}

/// Round trips through two rings, spinning (`batch` 1) or asleep.
pub fn round_trip(shape: Shape, pause: Duration) -> io::Result<(f64, f64)> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("ring").display().to_string();
    let back = format!("{path}-back");
    Ring::create(&path, shape.bytes)?;
    Ring::create(&back, shape.bytes)?;
    let (mut there, mut back) = (Ring::open(&path, shape.bytes)?, Ring::open(&back, shape.bytes)?);
    let other = start("ring-echo", shape, &path)?;
    let item = vec![7; shape.bytes];
    let times = trips(shape, pause, || {
        if shape.batch == 1 {
            there.push(&item, 1);
            back.pop(1, |item| _ = std::hint::black_box(item[0]));
        } else {
            there.push_awake(&item);
            back.pop_asleep(|item| _ = std::hint::black_box(item[0]));
        }
        Ok(())
    })?;
    ended(other)?;
    Ok(times)
}

/// The other side of [`round_trip`].
pub fn echo(shape: Shape, path: &str) -> io::Result<()> {
    let mut there = Ring::open(path, shape.bytes)?;
    let mut back = Ring::open(&format!("{path}-back"), shape.bytes)?;
    let mut item = vec![0; shape.bytes];
    for _ in 0..shape.items {
        if shape.batch == 1 {
            there.pop(1, |bytes| item.copy_from_slice(bytes));
            back.push(&item, 1);
        } else {
            there.pop_asleep(|bytes| item.copy_from_slice(bytes));
            back.push_awake(&item);
        }
    }
    Ok(())
}
