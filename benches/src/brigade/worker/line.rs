//! Stages between others, and tasks that go out and come back as results.

use brigade_worker::{Context, Output, RecvError, Result};

use super::{Item, Numbers, keep};
use crate::sample::{Sample, now};

pub fn pass(item: Item, out: &mut Output<Item>) -> Result {
    Ok(out.send(item)?)
}

/// The same with plain handles, so many at a time.
pub fn relay(ctx: &Context, n: &Numbers) -> Result {
    let (items, passed) = (ctx.receiver::<Item>("items")?, ctx.sender::<Item>("passed")?);
    if n[0] == 1 {
        for item in items.iter() {
            passed.send(*item)?;
            item.ack();
        }
        return Ok(());
    }
    loop {
        match items.recv_many(n[0] as usize) {
            Ok(run) => {
                passed.send_many(&run)?;
                run.ack();
            }
            Err(RecvError::Ended | RecvError::Stopped) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

pub fn task(number: u64, out: &mut Output<u64>) -> Result {
    Ok(out.send(number * number)?)
}

/// Hands out tasks and takes the results, with no more under way than the queues have room for.
pub fn tasks(ctx: &Context, n: &Numbers) -> Result {
    const UNDER_WAY: u64 = 512;
    let (tasks, results) = (ctx.sender::<u64>("tasks")?, ctx.receiver::<u64>("results")?);
    let begun = now();
    let (mut sent, mut done) = (0, 0);
    while done < n[0] {
        while sent < n[0] && sent - done < UNDER_WAY {
            tasks.send(sent)?;
            sent += 1;
        }
        std::hint::black_box(results.recv()?.ack());
        done += 1;
    }
    keep(ctx, &Sample::Span { begun, ended: now(), items: done })
}
