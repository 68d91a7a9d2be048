//! The queue alone, between two threads: what the processes and the SDK add is the difference.

use std::io;
use std::thread;
use std::time::Instant;

use brigade_protocol::id::Post;
use brigade_protocol::queue::{Geometry, Queue, Wait};

const FOR_EVER: Wait<'static> = Wait { deadline: None, interrupted: &|| false };

/// Passes the items once, and gives items per second.
pub fn run(items: u64) -> io::Result<f64> {
    let folder = tempfile::tempdir()?;
    let geometry = Geometry { capacity: 1024, item_bytes: 112, max_item_bytes: 112, max_deliveries: Some(5) };
    let queue = Queue::create(&folder.path().join("q.queue"), &geometry).map_err(io::Error::other)?;
    let mut sender = queue.join(Post(1), 0).map_err(io::Error::other)?;
    let mut receiver = queue.join(Post(2), 0).map_err(io::Error::other)?;
    let start = Instant::now();
    thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..items {
                sender.send(&[7; 64], &FOR_EVER).expect("sent");
            }
        });
        for _ in 0..items {
            let lease = receiver.recv(&FOR_EVER).expect("received");
            std::hint::black_box(receiver.bytes(&lease)[0]);
            receiver.ack(lease);
        }
    });
    Ok(items as f64 / start.elapsed().as_secs_f64())
}
