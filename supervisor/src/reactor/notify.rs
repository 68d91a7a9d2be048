//! What plain processes say of themselves by the protocol of sd_notify(3), as programs do that were written for systemd.
//! Without it only a program of ours could say when it is ready, what it does and that it still lives.
//!
//! Each run has a socket of its own in the state folder, so that nobody has to be asked whose process has sent something:
//! a helper such as `systemd-notify` may be gone before its message is read. What comes is input: of bounded length, a
//! bounded number of messages at a time, and what is not known is passed over. Descriptors that come along are closed by
//! the kernel, since there is no room for them.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::Permissions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use brigade_protocol::id::{Incarnation, Post};
use mio::Interest;
use mio::unix::SourceFd;

use super::{NOTES, ROUND, Reactor};
use crate::config::plan::{Readiness, StagePlan};
use crate::config::show_duration;
use crate::core::action::State;
use crate::core::event::Event;
use crate::effects::hand_over;

/// No message is longer.
const MESSAGE_BYTES: usize = 4096;
/// No more messages of one process are read before others have their turn.
const AT_ONCE: usize = 64;
/// Nobody gets more time at once, so that what comes of it can be counted.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);
/// Characters of a status that are kept.
const STATUS_CHARS: usize = 200;

/// The sockets of everybody who runs and has one.
#[derive(Debug, Default)]
pub(super) struct Notes {
    of: HashMap<Post, Note>,
    /// Something was left unread at the last look.
    pub(super) more: bool,
    last_look: Option<Instant>,
}

#[derive(Debug)]
struct Note {
    incarnation: Incarnation,
    socket: UnixDatagram,
    path: PathBuf,
    status: String,
    /// For how long it has given no sign of life, as far as it should have.
    silent: Duration,
    /// It has given one since the last look.
    lives: bool,
}

impl Drop for Note {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// How the worker finds its socket.
#[derive(Debug)]
pub(super) struct Way {
    /// `NOTIFY_SOCKET`; `None`: that depends on the descriptor.
    pub(super) path: Option<OsString>,
    /// A descriptor of the socket, for one who may not enter the state folder.
    pub(super) socket: Option<OwnedFd>,
}

/// What a line of a message says, as far as it means something here.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    Ready,
    Stopping,
    Lives,
    /// It wants to be taken for hung.
    Trigger,
    Status(String),
    Extend(Duration),
}

fn said(message: &[u8]) -> Vec<Said> {
    let text = String::from_utf8_lossy(message);
    let line = |line: &str| {
        Some(match line.split_once('=')? {
            ("READY", "1") => Said::Ready,
            ("STOPPING", "1") => Said::Stopping,
            ("WATCHDOG", "1") => Said::Lives,
            ("WATCHDOG", "trigger") => Said::Trigger,
            ("STATUS", words) => Said::Status(words.chars().take(STATUS_CHARS).collect()),
            ("EXTEND_TIMEOUT_USEC", number) => Said::Extend(Duration::from_micros(number.parse().ok()?).min(LONGEST)),
            _ => return None,
        })
    };
    text.lines().filter_map(line).collect()
}

impl Reactor {
    /// Makes the socket of a run, if its stage wants one.
    pub(super) fn open_notes(
        &mut self,
        stage: &StagePlan,
        post: Post,
        incarnation: Incarnation,
    ) -> io::Result<Option<Way>> {
        match stage.ready {
            Readiness::Sdk | Readiness::Alive | Readiness::Fd => return Ok(None),
            Readiness::Notify => {}
        }
        self.notes.of.remove(&post); // Of a run whose process could not be started.
        let path = self.dir.tmp().join(format!("notify-{}", post.0));
        let socket = UnixDatagram::bind(&path)?;
        let note = Note { incarnation, socket, path, status: String::new(), silent: Duration::ZERO, lives: true };
        note.socket.set_nonblocking(true)?;
        std::fs::set_permissions(&note.path, Permissions::from_mode(0o600))?;
        let way = match stage.limits.uid().filter(|uid| *uid != nix::unistd::geteuid().as_raw()) {
            Some(uid) => Way { path: None, socket: Some(hand_over::socket(&note.path, uid)?) },
            None => Way { path: Some(note.path.clone().into()), socket: None },
        };
        self.poll.registry().register(&mut SourceFd(&note.socket.as_raw_fd()), NOTES, Interest::READABLE)?;
        self.notes.of.insert(post, note);
        Ok(Some(way))
    }

    /// The worker is gone.
    pub(super) fn close_notes(&mut self, post: Post) {
        if let Some(note) = self.notes.of.remove(&post) {
            let _ = self.poll.registry().deregister(&mut SourceFd(&note.socket.as_raw_fd()));
        }
    }

    /// What a worker last said that it does.
    pub(super) fn noted_status(&self, post: Post, incarnation: Incarnation) -> Option<String> {
        let note = self.notes.of.get(&post).filter(|note| note.incarnation == incarnation)?;
        (!note.status.is_empty()).then(|| note.status.clone())
    }

    /// Reads what has come.
    pub(super) fn hear_notes(&mut self) {
        let mut buffer = [0; MESSAGE_BYTES];
        self.notes.more = false;
        for (post, note) in &mut self.notes.of {
            let (post, incarnation) = (*post, note.incarnation);
            for turn in 0..=AT_ONCE {
                let Ok(length) = note.socket.recv(&mut buffer) else { break };
                self.notes.more |= turn == AT_ONCE;
                for said in said(&buffer[..length]) {
                    match said {
                        Said::Ready => {
                            note.lives = true; // From here on it is counted.
                            self.events.push_back(Event::Ready { post, incarnation });
                        }
                        Said::Stopping => self.events.push_back(Event::SaysStopping { post, incarnation }),
                        Said::Extend(time) => self.events.push_back(Event::Extend { post, incarnation, time }),
                        Said::Lives => note.lives = true,
                        Said::Trigger => {
                            let words = "asked for it (WATCHDOG=trigger)".to_owned();
                            self.events.push_back(Event::Hung { post, incarnation, words });
                        }
                        Said::Status(words) => note.status = words,
                    }
                }
            }
        }
    }

    /// Tells the core of those who should have said that they live. Their silence is counted from look to look and not by
    /// the clock: while the supervisor was stopped, nobody could be heard.
    pub(super) fn look_for_silent(&mut self, now: Instant) {
        let last = self.notes.last_look.replace(now).unwrap_or(now);
        let step = now.saturating_duration_since(last).min(2 * ROUND);
        for (post, note) in &mut self.notes.of {
            let Some(worker) = self.core.worker(*post) else { continue };
            let watchdog = worker.stage.and_then(|stage| self.core.plan().stages[stage].watch.watchdog);
            let at_work = matches!(worker.state, State::Ready | State::Draining) && worker.paused.is_none();
            let lives = std::mem::take(&mut note.lives);
            note.silent = if at_work && !lives { note.silent + step } else { Duration::ZERO };
            if let Some(watchdog) = watchdog.filter(|watchdog| note.silent >= *watchdog) {
                let words = format!("sent no WATCHDOG=1 for {}", show_duration(watchdog));
                self.events.push_back(Event::Hung { post: *post, incarnation: note.incarnation, words });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_message_what_is_known_is_heard() {
        let message = b"READY=1\nSTATUS=at work \xff\nMAINPID=7\nFDSTORE=1\nEXTEND_TIMEOUT_USEC=1500000\nWATCHDOG=1\n";
        let expected = [
            Said::Ready,
            Said::Status("at work \u{fffd}".into()),
            Said::Extend(Duration::from_millis(1500)),
            Said::Lives,
        ];
        assert_eq!(said(message), expected);
        assert_eq!(said(b"STOPPING=1\nWATCHDOG=trigger"), [Said::Stopping, Said::Trigger]);
    }

    #[test]
    fn what_makes_no_sense_is_passed_over_and_nothing_is_boundless() {
        for nonsense in [&b""[..], b"READY", b"READY=2", b"=", b"\n\n", b"\0\xff", b"EXTEND_TIMEOUT_USEC=-1"] {
            assert_eq!(said(nonsense), [], "{nonsense:?}");
        }
        let long = format!("STATUS={}\nEXTEND_TIMEOUT_USEC={}", "é".repeat(1000), u64::MAX);
        assert_eq!(said(long.as_bytes()), [Said::Status("é".repeat(STATUS_CHARS)), Said::Extend(LONGEST)]);
    }
}
