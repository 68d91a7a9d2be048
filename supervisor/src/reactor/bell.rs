//! The bell: other threads ring it when they have put news in one of the reactor's channels. Once is enough for however
//! much there is: when a thousand workers die at once, a thousand calls of the kernel would be spent on nothing.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

use brigade_protocol::id::{Incarnation, Post};
use mio::{Registry, Token, Waker};

use crate::door::{Deliver, Entry};

/// One for all channels.
pub(super) struct Bell {
    waker: Waker,
    rung: AtomicBool,
}

impl Bell {
    pub fn new(registry: &Registry, token: Token) -> io::Result<Self> {
        Ok(Self { waker: Waker::new(registry, token)?, rung: AtomicBool::new(false) })
    }

    /// There is news in a channel.
    pub fn ring(&self) {
        // AcqRel: of this and `hear`, whichever comes second sees what was done before the first. So either the reactor
        // finds what is in the channel, or it is woken for it.
        if !self.rung.swap(true, Ordering::AcqRel) && self.waker.wake().is_err() {
            self.rung.store(false, Ordering::Release);
        }
    }

    /// The reactor looks through the channels from now on.
    pub fn hear(&self) {
        self.rung.swap(false, Ordering::AcqRel);
    }

    /// Puts what comes through doors into a channel.
    pub fn deliverer(self: &Arc<Self>, sender: Sender<(Post, Incarnation, Entry)>) -> Deliver {
        let bell = Arc::clone(self);
        Arc::new(move |post, incarnation, entry| {
            if sender.send((post, incarnation, entry)).is_ok() {
                bell.ring();
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;
    use std::time::Duration;

    use mio::{Events, Poll};

    use super::*;

    /// Enough for a machine under load; a test that passes does not wait.
    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn however_often_and_whenever_it_is_rung_nothing_is_left_lying() {
        const NEWS: usize = 20_000;
        let mut poll = Poll::new().expect("a poll");
        let bell = Arc::new(Bell::new(poll.registry(), Token(0)).expect("a bell"));
        let (sender, news) = channel();
        let ringers: Vec<_> = (0..4)
            .map(|_| {
                let (bell, sender) = (Arc::clone(&bell), sender.clone());
                thread::spawn(move || {
                    for number in 0..NEWS {
                        sender.send(number).expect("somebody listens");
                        bell.ring();
                    }
                })
            })
            .collect();
        let (mut heard, mut events) = (0, Events::with_capacity(4));
        while heard < 4 * NEWS {
            poll.poll(&mut events, Some(PATIENCE)).expect("polled");
            assert!(!events.is_empty(), "nobody woke us, and {} are missing", 4 * NEWS - heard);
            bell.hear();
            heard += news.try_iter().count();
        }
        ringers.into_iter().for_each(|ringer| ringer.join().expect("it rings"));
    }
}
