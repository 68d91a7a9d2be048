//! The workers of the measured pipelines: this same program, started by the supervisor.

mod line;
mod log;
mod pair;
mod state;
mod trip;

use std::process::{ExitCode, Termination};
use std::time::Duration;

use brigade_worker::{Context, Result, run, sink, work};
use serde_bytes::ByteArray;

use crate::sample::Sample;

/// With the format byte and its length it makes 64 bytes in the queue.
pub type Item = ByteArray<62>;

/// What a part is told: numbers, in the order in which its pipeline names them.
pub type Numbers = Vec<u64>;

/// Does one part of a pipeline.
pub fn main(part: &str, numbers: &[String]) -> ExitCode {
    let n: Numbers = numbers.iter().map(|text| text.parse().expect("a number")).collect();
    let exit = match part {
        "raw-send" => work(|ctx| pair::raw_send(ctx, &n)),
        "raw-recv" => work(|ctx| pair::raw_recv(ctx, &n)),
        "typed-send" => work(|ctx| pair::typed_send(ctx, &n)),
        "typed-recv" => work(|ctx| pair::typed_recv(ctx, &n)),
        "structs-send" => work(|ctx| pair::structs_send(ctx, &n)),
        "structs-recv" => work(|ctx| pair::structs_recv(ctx, &n)),
        "visits-send" => work(|ctx| pair::visits_send(ctx, &n)),
        "visits-recv" => work(|ctx| pair::visits_recv(ctx, &n)),
        "blocks-send" => work(|ctx| pair::blocks_send(ctx, &n)),
        "blocks-recv" => work(|ctx| pair::blocks_recv(ctx, &n)),
        "count" => work(pair::count),
        "pass" => run(line::pass),
        "relay" => work(|ctx| line::relay(ctx, &n)),
        "sink" => sink(|_: Item| -> Result { Ok(()) }),
        "log-send" => work(|ctx| log::send(ctx, &n)),
        "log-parse" => run(|line: String, out: &mut _| log::parse(&line, out)),
        "log-count" => run(|line: String, out: &mut _| log::parse_and_count(&line, out)),
        "log-recv" => work(|ctx| log::recv(ctx, &n)),
        "task" => run(line::task),
        "tasks" => work(|ctx| line::tasks(ctx, &n)),
        "ping" => work(|ctx| trip::ping(ctx, &n)),
        "pong" => work(|ctx| trip::pong(ctx, &n)),
        "push" => work(|ctx| state::push(ctx, &n)),
        "extend" => work(|ctx| state::extend(ctx, &n)),
        "insert" => work(|ctx| state::insert(ctx, &n)),
        "rest" => work(rest),
        "nothing" => work(|_| -> Result { Ok(()) }),
        _ => panic!("no part is named {part}"),
    };
    exit.report()
}

/// Leaves what was measured where the bench looks for it: one file for each replica.
fn keep(ctx: &Context, sample: &Sample) -> Result {
    let folder = std::env::var("RESULT")?;
    Ok(sample.write(format!("{folder}/{}-{}", ctx.stage(), ctx.replica()).as_ref())?)
}

/// Is there and does nothing, for what it costs to have workers at all.
fn rest(ctx: &Context) -> Result {
    while ctx.sleep(Duration::from_secs(3600)) {}
    Ok(())
}
