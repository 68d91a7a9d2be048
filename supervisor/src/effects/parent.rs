//! What we tell the one who supervises us, if somebody does: systemd, or another program that speaks sd_notify. Without it
//! such a one would take a pipeline for started that is not, and for alive one whose supervisor hangs.
//!
//! The protocol is that of sd_notify(3): datagrams of `NAME=value` lines to the socket that `NOTIFY_SOCKET` names.

use std::ffi::{OsStr, OsString};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

/// The way to whoever supervises us, or nowhere.
#[derive(Debug, Default)]
pub struct Parent {
    to: Option<(UnixDatagram, SocketAddr)>,
    /// How often it wants to hear that we live; we tell twice as often.
    watchdog: Option<Duration>,
    next_sign: Option<Instant>,
    is_ready: bool,
    is_stopping: bool,
    status: String,
}

impl Parent {
    /// As this process's environment says.
    pub fn of_this_process() -> Self {
        Self::from(&|name| std::env::var_os(name))
    }

    fn from(env: &dyn Fn(&str) -> Option<OsString>) -> Self {
        let Some(to) = env("NOTIFY_SOCKET").filter(|path| !path.is_empty()).and_then(|path| reach(&path)) else {
            return Self::default();
        };
        let number = |name| env(name).and_then(|value| value.to_str()?.parse::<u64>().ok());
        // A watchdog can be meant for another process of ours.
        let is_for_us = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|usec| is_for_us && *usec > 0).map(Duration::from_micros);
        Self { to: Some(to), watchdog, ..Self::default() }
    }

    /// Every worker has been ready, or has ended. Told once.
    pub fn ready(&mut self) {
        if !self.is_ready {
            self.is_ready = true;
            self.tell("READY=1");
        }
    }

    /// Whether that was told, or nobody is to be told.
    pub fn knows_ready(&self) -> bool {
        self.is_ready || self.to.is_none()
    }

    /// Whether there is anybody.
    pub fn is_there(&self) -> bool {
        self.to.is_some()
    }

    /// What we do at present, in a line. Told when it has changed.
    pub fn status(&mut self, words: &str) {
        if self.to.is_some() && self.status != words {
            words.clone_into(&mut self.status);
            self.tell(&format!("STATUS={}", words.replace('\n', " ")));
        }
    }

    /// The end has begun, and takes at most so long.
    pub fn stopping(&mut self, at_most: Duration) {
        let first = if self.is_stopping { "" } else { "STOPPING=1\n" };
        self.is_stopping = true;
        self.tell(&format!("{first}EXTEND_TIMEOUT_USEC={}", at_most.as_micros()));
    }

    /// When a sign of life is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.watchdog.and(self.next_sign)
    }

    /// Gives a sign of life if one is due.
    pub fn live(&mut self, now: Instant) {
        let Some(watchdog) = self.watchdog else { return };
        if self.next_sign.is_none_or(|due| due <= now) {
            self.next_sign = Some(now + watchdog / 2);
            self.tell("WATCHDOG=1");
        }
    }

    fn tell(&self, words: &str) {
        if let Some((socket, address)) = &self.to {
            // It never waits; if nobody listens any more, there is nobody to be told of it.
            let _ = socket.send_to_addr(words.as_bytes(), address);
        }
    }
}

/// A socket, and the address that the variable names: a path, or behind `@` a name without one.
fn reach(name: &OsStr) -> Option<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        [b'/', ..] => SocketAddr::from_pathname(name),
        _ => return None,
    };
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    Some((socket, address.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> Vec<String> {
        let mut all = Vec::new();
        let mut buffer = [0; 512];
        while let Ok(length) = socket.recv(&mut buffer) {
            all.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        all
    }

    #[test]
    fn everything_is_told_once_and_signs_of_life_twice_as_often_as_wanted() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let listener = UnixDatagram::bind(&path).expect("bound");
        listener.set_nonblocking(true).expect("it is a socket");
        let env = |name: &str| match name {
            "NOTIFY_SOCKET" => Some(path.clone().into_os_string()),
            "WATCHDOG_USEC" => Some("2000000".into()),
            _ => None,
        };
        let mut parent = Parent::from(&env);
        let now = Instant::now();
        for _ in 0..2 {
            parent.ready();
            parent.status("two\nlines");
            parent.live(now);
        }
        assert_eq!(heard(&listener), ["READY=1", "STATUS=two lines", "WATCHDOG=1"]);
        assert_eq!(parent.deadline(), Some(now + Duration::from_secs(1)));
        parent.live(now + Duration::from_secs(1));
        parent.stopping(Duration::from_secs(3));
        parent.stopping(Duration::from_secs(2));
        let all = ["WATCHDOG=1", "STOPPING=1\nEXTEND_TIMEOUT_USEC=3000000", "EXTEND_TIMEOUT_USEC=2000000"];
        assert_eq!(heard(&listener), all);
    }

    #[test]
    fn nobody_is_told_without_a_socket_and_no_watchdog_is_fed_that_is_for_another_process() {
        let mut alone = Parent::from(&|_| None);
        alone.live(Instant::now());
        assert!(alone.knows_ready() && alone.deadline().is_none());
        let env = |name: &str| match name {
            "NOTIFY_SOCKET" => Some(OsString::from("@brigade test, nobody listens")),
            "WATCHDOG_USEC" => Some("1000".into()),
            "WATCHDOG_PID" => Some("1".into()),
            _ => None,
        };
        let mut parent = Parent::from(&env);
        parent.live(Instant::now());
        assert!(!parent.knows_ready() && parent.deadline().is_none());
    }
}
