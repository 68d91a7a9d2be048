//! iceoryx2: samples in shared memory, asked for again and again; nothing is acked, and a full receiver blocks the sender.

use std::io::{self, Read};
use std::process::Stdio;
use std::time::{Duration, Instant};

use iceoryx2::prelude::*;

use super::{Shape, ended, start_with, timed};

fn failed(error: impl std::fmt::Debug) -> io::Error {
    io::Error::other(format!("{error:?}"))
}

type Factory = iceoryx2::service::port_factory::publish_subscribe::PortFactory<ipc::Service, [u8], ()>;

fn service(node: &Node<ipc::Service>, shape: Shape, name: &str) -> io::Result<Factory> {
    node.service_builder(&name.try_into().map_err(failed)?)
        .publish_subscribe::<[u8]>()
        .max_publishers(1)
        .max_subscribers(1)
        .subscriber_max_buffer_size(if shape.bytes > 4096 { 128 } else { 1024 })
        .enable_safe_overflow(false)
        .open_or_create()
        .map_err(failed)
}

fn node() -> io::Result<Node<ipc::Service>> {
    NodeBuilder::new().create::<ipc::Service>().map_err(failed)
}

/// From one process to another.
pub fn run(shape: Shape) -> io::Result<f64> {
    let name = format!("brigade-bench-{}-{}", std::process::id(), crate::sample::now());
    let node = node()?;
    let service = service(&node, shape, &name)?;
    let receiver = service.subscriber_builder().create().map_err(failed)?;
    let mut sender = start_with("iceoryx", shape, &name, |command| _ = command.stdin(Stdio::piped()))?;
    let begun = Instant::now();
    let rate = timed(shape, || {
        for look in 0u64.. {
            if let Some(sample) = receiver.receive().map_err(failed)? {
                let sum = sample.payload().iter().step_by(64).fold(0u8, |sum, byte| sum.wrapping_add(*byte));
                std::hint::black_box(sum);
                return Ok(());
            }
            std::hint::spin_loop();
            if look % (1 << 20) == 0 && begun.elapsed() > Duration::from_secs(60) {
                return Err(failed("not all samples have come in 60 s"));
            }
        }
        Ok(())
    })?;
    drop(sender.stdin.take());
    ended(sender)?;
    Ok(rate)
}

/// The other side of [`run`].
pub fn send(shape: Shape, name: &str) -> io::Result<()> {
    let node = node()?;
    let service = service(&node, shape, name)?;
    let builder = service.publisher_builder().initial_max_slice_len(shape.bytes);
    let sender = builder.backpressure_strategy(BackpressureStrategy::RetryUntilDelivered).create().map_err(failed)?;
    let item = vec![7; shape.bytes];
    for _ in 0..shape.items {
        let sample = sender.loan_slice_uninit(shape.bytes).map_err(failed)?;
        sample.write_from_slice(&item).send().map_err(failed)?;
    }
    // What is still under way goes with its sender: it stays until the receiver has all.
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
