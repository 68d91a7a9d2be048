//! The pipes by which plain processes say that they are ready: with a newline, as programs do that were written for s6.
//! Without them a process would be believed to be ready when it has merely lived for a while.

use std::collections::HashMap;
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsRawFd, OwnedFd};

use brigade_protocol::id::{Incarnation, Post};
use mio::Interest;
use mio::unix::SourceFd;

use super::{READY, Reactor};
use crate::config::plan::{Readiness, StagePlan};
use crate::core::event::Event;

/// Those of everybody who runs. One stays open after the newline, for whoever writes more to it is not to die of that; what
/// is in it then is never read.
#[derive(Debug, Default)]
pub(super) struct Lines(HashMap<Post, Line>);

#[derive(Debug)]
struct Line {
    incarnation: Incarnation,
    pipe: PipeReader,
    /// There is nothing more to be heard.
    heard: bool,
}

impl Lines {
    /// The worker is gone.
    pub(super) fn close(&mut self, post: Post) {
        self.0.remove(&post);
    }
}

impl Line {
    /// Whether a newline has come since the last look. What stands before it means nothing.
    fn listen(&mut self) -> bool {
        let mut bytes = [0; 4096];
        // As much as the pipe holds: who writes without an end is not to hold up everybody else.
        for _ in 0..16 {
            match self.pipe.read(&mut bytes) {
                Ok(count) if bytes[..count].contains(&b'\n') => {
                    self.heard = true;
                    return true;
                }
                Ok(0) => {
                    self.heard = true; // It was closed without a word: the start timeout will tell.
                    return false;
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.heard = error.kind() != io::ErrorKind::WouldBlock;
                    return false;
                }
            }
        }
        self.heard = true;
        false
    }
}

impl Reactor {
    /// Makes the pipe of a run, if its stage wants one, and gives the end that the worker gets.
    pub(super) fn open_ready_line(
        &mut self,
        stage: &StagePlan,
        post: Post,
        incarnation: Incarnation,
    ) -> io::Result<Option<OwnedFd>> {
        match stage.ready {
            Readiness::Sdk | Readiness::Alive | Readiness::Notify => return Ok(None),
            Readiness::Fd => {}
        }
        let (pipe, end) = io::pipe()?;
        rustix::io::ioctl_fionbio(&pipe, true)?;
        self.poll.registry().register(&mut SourceFd(&pipe.as_raw_fd()), READY, Interest::READABLE)?;
        self.ready_lines.0.insert(post, Line { incarnation, pipe, heard: false });
        Ok(Some(end.into()))
    }

    pub(super) fn hear_ready_lines(&mut self) {
        for (post, line) in self.ready_lines.0.iter_mut().filter(|(_, line)| !line.heard) {
            if line.listen() {
                self.events.push_back(Event::Ready { post: *post, incarnation: line.incarnation });
            }
            if line.heard {
                let _ = self.poll.registry().deregister(&mut SourceFd(&line.pipe.as_raw_fd()));
            }
        }
    }
}
