//! Round trips: an item goes out by one queue, and comes back by another.

use std::time::Duration;

use brigade_worker::{Context, RawDelivery, RawReceiver, RecvError, Result};

use super::{Numbers, keep};
use crate::sample::{Sample, now};

/// Blocking, or asking again and again.
fn take<'r>(receiver: &'r RawReceiver, spins: bool) -> Result<RawDelivery<'r>, RecvError> {
    if !spins {
        return receiver.recv();
    }
    loop {
        match receiver.try_recv() {
            Err(RecvError::Empty) => std::hint::spin_loop(),
            answer => return answer,
        }
    }
}

/// So many trips; whether to spin; how many microseconds to pause before each, so that the other side is asleep.
pub fn ping(ctx: &Context, n: &Numbers) -> Result {
    let (out, back) = (ctx.raw_sender("there")?, ctx.raw_receiver("back")?);
    let mut times = Vec::with_capacity(n[0] as usize);
    for _ in 0..n[0] {
        if n[2] > 0 {
            std::thread::sleep(Duration::from_micros(n[2]));
        }
        let begun = now();
        out.send(&[7; 64])?;
        take(&back, n[1] == 1)?.ack();
        times.push(now() - begun);
    }
    keep(ctx, &Sample::Times(times))
}

pub fn pong(ctx: &Context, n: &Numbers) -> Result {
    let (there, back) = (ctx.raw_receiver("there")?, ctx.raw_sender("back")?);
    loop {
        match take(&there, n[1] == 1) {
            Ok(delivery) => {
                back.send(&delivery)?;
                delivery.ack();
            }
            Err(RecvError::Ended | RecvError::Stopped) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}
