//! The queue alone, between two threads: what the processes and the SDK add is the difference.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use brigade_protocol::id::Post;
use brigade_protocol::queue::{Geometry, Queue, Wait};

use crate::peers::Shape;

/// Longer than a run lasts.
const LONG: Duration = Duration::from_secs(3600);
const FOR_EVER: Wait<'static> = Wait { deadline: None, interrupted: &|| false };

/// Passes the items once, beside so many others that wait for a retry. Gives items per second.
pub fn run(shape: Shape, capacity: u32, waiting: u32) -> io::Result<f64> {
    let folder = tempfile::tempdir()?;
    let room = u32::try_from(shape.bytes).map_err(io::Error::other)?;
    let geometry = Geometry { capacity, item_bytes: room, max_item_bytes: room, max_deliveries: Some(5) };
    let queue = Queue::create(&folder.path().join("q.queue"), &geometry).map_err(io::Error::other)?;
    let mut sender = queue.join(Post(1), 0).map_err(io::Error::other)?;
    let mut receiver = queue.join(Post(2), 0).map_err(io::Error::other)?;
    let item = vec![7; shape.bytes];
    for _ in 0..waiting {
        sender.send(&item, &FOR_EVER).map_err(io::Error::other)?;
        let lease = receiver.recv(&FOR_EVER).map_err(io::Error::other)?;
        receiver.nack_after(lease, LONG);
    }
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..shape.items {
                sender.send(&item, &FOR_EVER).expect("sent");
            }
        });
        for _ in 0..shape.items {
            let lease = receiver.recv(&FOR_EVER).expect("received");
            std::hint::black_box(receiver.bytes(&lease)[0]);
            receiver.ack(lease);
        }
    });
    Ok(shape.items as f64 / start.elapsed().as_secs_f64())
}
