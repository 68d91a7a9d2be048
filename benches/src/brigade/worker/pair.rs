//! A sender and a receiver at one queue.

use brigade_worker::{Context, RecvError, Result, decode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteBuf, Bytes};

use super::{Item, Numbers, keep};
use crate::sample::{Sample, now};

/// So many items, so many bytes each, so many at a time.
fn told(n: &Numbers) -> (u64, usize, usize) {
    (n[0], n[1] as usize, n[2] as usize)
}

pub fn raw_send(ctx: &Context, n: &Numbers) -> Result {
    let (items, bytes, batch) = told(n);
    let (sender, item) = (ctx.raw_sender("items")?, vec![7; bytes]);
    if batch == 1 {
        for _ in 0..items {
            sender.send(&item)?;
        }
        return Ok(());
    }
    let run = vec![&item[..]; batch];
    for left in (1..=items).rev().step_by(batch) {
        sender.send_many(&run[..batch.min(left as usize)])?;
    }
    Ok(())
}

/// The fourth number: whether the bytes are copied out, or only looked at where they lie.
pub fn raw_recv(ctx: &Context, n: &Numbers) -> Result {
    let (items, bytes, batch) = told(n);
    let mut copy = vec![0; bytes];
    let copies = n[3] == 1;
    let mut look = |item: &[u8]| {
        if copies {
            copy.copy_from_slice(item);
            std::hint::black_box(&copy);
        } else {
            look_at(item);
        }
    };
    let receiver = ctx.raw_receiver("items")?;
    receiver.recv()?.ack();
    let begun = now();
    let mut left = items - 1;
    while left > 0 {
        if batch == 1 {
            let delivery = receiver.recv()?;
            look(&delivery);
            delivery.ack();
            left -= 1;
        } else {
            let deliveries = receiver.recv_many(batch)?;
            deliveries.iter().for_each(&mut look);
            left -= deliveries.len() as u64;
            deliveries.ack();
        }
    }
    keep(ctx, &Sample::Span { begun, ended: now(), items: items - 1 })
}

/// Reads of each cache line.
fn look_at(item: &[u8]) {
    std::hint::black_box(item.iter().step_by(64).fold(0u8, |sum, byte| sum.wrapping_add(*byte)));
}

pub fn typed_send(ctx: &Context, n: &Numbers) -> Result {
    let (items, _, batch) = told(n);
    send(ctx, items, batch, || Item::new([7; 62]))
}

pub fn typed_recv(ctx: &Context, n: &Numbers) -> Result {
    let (items, _, batch) = told(n);
    recv::<Item>(ctx, items, batch)
}

/// What people send: a struct with strings, 64 bytes encoded.
#[derive(Clone, Serialize, Deserialize)]
struct Visit {
    host: String,
    path: String,
    status: u16,
    bytes: u64,
}

fn visit() -> Visit {
    Visit {
        host: "shop.example.org".into(),
        path: "/catalogue/lamps/4711?colour=green".into(),
        status: 200,
        bytes: 1 << 33,
    }
}

pub fn structs_send(ctx: &Context, n: &Numbers) -> Result {
    let (items, _, batch) = told(n);
    let visit = visit();
    send(ctx, items, batch, || visit.clone())
}

pub fn structs_recv(ctx: &Context, n: &Numbers) -> Result {
    let (items, _, batch) = told(n);
    recv::<Visit>(ctx, items, batch)
}

/// The same, of what lies elsewhere.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct VisitAt<'a> {
    host: &'a str,
    path: &'a str,
    status: u16,
    bytes: u64,
}

/// Made of parts of another text, as a parsed line is.
pub fn visits_send(ctx: &Context, n: &Numbers) -> Result {
    let (items, _, batch) = told(n);
    let Visit { host, path, status, bytes } = visit();
    let at = std::hint::black_box(VisitAt { host: &host, path: &path, status, bytes });
    send_as::<Visit, _>(ctx, items, batch, at)
}

/// Decoded where it lies: no string is copied.
pub fn visits_recv(ctx: &Context, n: &Numbers) -> Result {
    in_place(ctx, n, |item| {
        std::hint::black_box(decode::<VisitAt>(item)?);
        Ok(())
    })
}

/// Values that are one large piece of bytes, and with what stands before it as long as asked for.
pub fn blocks_send(ctx: &Context, n: &Numbers) -> Result {
    let (items, bytes, batch) = told(n);
    let block = vec![7; bytes - 4];
    send_as::<ByteBuf, _>(ctx, items, batch, Bytes::new(&block))
}

/// Decoded where they lie, and looked at.
pub fn blocks_recv(ctx: &Context, n: &Numbers) -> Result {
    in_place(ctx, n, |item| {
        look_at(decode::<&Bytes>(item)?);
        Ok(())
    })
}

/// Takes items one by one, and looks at each where it lies.
fn in_place(ctx: &Context, n: &Numbers, mut look: impl FnMut(&[u8]) -> Result) -> Result {
    let (items, ..) = told(n);
    let receiver = ctx.raw_receiver("items")?;
    receiver.recv()?.ack();
    let begun = now();
    for _ in 1..items {
        let delivery = receiver.recv()?;
        look(&delivery)?;
        delivery.ack();
    }
    keep(ctx, &Sample::Span { begun, ended: now(), items: items - 1 })
}

fn send<T: Serialize + DeserializeOwned + Clone>(
    ctx: &Context,
    items: u64,
    batch: usize,
    make: impl Fn() -> T,
) -> Result {
    let sender = ctx.sender::<T>("items")?;
    if batch == 1 {
        for _ in 0..items {
            sender.send(make()).map_err(|refused| refused.reason)?;
        }
        return Ok(());
    }
    let run = vec![make(); batch];
    for left in (1..=items).rev().step_by(batch) {
        sender.send_many(&run[..batch.min(left as usize)])?;
    }
    Ok(())
}

fn send_as<Owned: Serialize + DeserializeOwned, T: Serialize + Copy>(
    ctx: &Context,
    items: u64,
    batch: usize,
    value: T,
) -> Result {
    let sender = ctx.sender::<Owned>("items")?;
    if batch == 1 {
        for _ in 0..items {
            sender.send_as::<Owned>(&value)?;
        }
        return Ok(());
    }
    let run = vec![value; batch];
    for left in (1..=items).rev().step_by(batch) {
        sender.send_many_as::<Owned>(&run[..batch.min(left as usize)])?;
    }
    Ok(())
}

fn recv<T: DeserializeOwned>(ctx: &Context, items: u64, batch: usize) -> Result {
    let queue = ctx.inputs().next().expect("an input").to_owned();
    let receiver = ctx.receiver::<T>(&queue)?;
    receiver.recv()?.ack();
    let begun = now();
    let mut left = items - 1;
    while left > 0 {
        if batch == 1 {
            std::hint::black_box(receiver.recv()?.ack());
            left -= 1;
        } else {
            let deliveries = receiver.recv_many(batch)?;
            left -= deliveries.len() as u64;
            std::hint::black_box(deliveries.ack());
        }
    }
    keep(ctx, &Sample::Span { begun, ended: now(), items: items - 1 })
}

/// One of several receivers: takes until the end, and says from when to when it had something to do.
pub fn count(ctx: &Context) -> Result {
    let receiver = ctx.raw_receiver("items")?;
    let (mut begun, mut items) = (0, 0);
    let ended = loop {
        let delivery = match receiver.try_recv() {
            Err(RecvError::Empty) => {
                let last = now(); // If none comes any more.
                match receiver.recv() {
                    Err(RecvError::Ended) => break last,
                    answer => answer?,
                }
            }
            Err(RecvError::Ended) => break now(),
            answer => answer?,
        };
        std::hint::black_box(delivery[0]);
        delivery.ack();
        if items == 0 {
            begun = now();
        }
        items += 1;
    };
    keep(ctx, &Sample::Span { begun, ended: ended.max(begun), items })
}
