//! The mark of a run in the environment of all that descend from it. Pids are given again and parents die; without the
//! mark, nobody could tell a process that a dead run has left behind from a stranger.

use std::io;

use brigade_protocol::control::WORKER_ENV;
use serde::{Deserialize, Serialize};

/// What workers and the manager carry, and hand on to all that they start: the cookies of the runs to which they
/// belong, the outermost first, joined by colons.
pub const RUN_ENV: &str = "BRIGADE_RUN";
/// The same for the keeper of a run, which is to be recognised as such.
pub const KEEPER_ENV: &str = "BRIGADE_KEEPER";

/// Characters of a cookie: 128 bits in hex.
pub const LEN: usize = 32;
/// How many runs around a run are remembered, so that one that starts the next one inside of itself, again and again,
/// does not make the environment grow for ever.
const OUTER: usize = 64;

/// The random number of one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cookie(String);

/// As what somebody carries a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bearer {
    /// A worker, the manager, or whoever comes from one.
    Member,
    /// The keeper of that run, or of one inside of it.
    Keeper,
}

impl Cookie {
    /// That of a new run.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn random() -> io::Result<Self> {
        crate::random::word().map(Self)
    }

    /// Its characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value of the variable for those that this run starts: this cookie behind those that this process itself has
    /// been started with.
    pub fn for_children(&self) -> String {
        self.behind(&std::env::var(RUN_ENV).unwrap_or_default())
    }

    fn behind(&self, outer: &str) -> String {
        let mut all: Vec<&str> = outer.split(':').filter(|word| is_cookie(word)).collect();
        all.drain(..all.len().saturating_sub(OUTER));
        all.push(&self.0);
        all.join(":")
    }

    /// Whether a process of this environment comes from this worker of this run itself, and not of a run inside of it.
    pub fn is_of(&self, worker: &str, environ: &[u8]) -> bool {
        let value = |name: &str| {
            let variables = environ.split(|byte| *byte == 0).filter_map(|variable| std::str::from_utf8(variable).ok());
            variables.filter_map(|variable| variable.split_once('=')).find(|(other, _)| *other == name)
        };
        let runs = value(RUN_ENV).and_then(|(_, runs)| runs.rsplit(':').next());
        runs == Some(self.as_str()) && value(WORKER_ENV).is_some_and(|(_, other)| other == worker)
    }

    /// As what a process of this environment (`/proc/PID/environ`) carries this cookie, if it does.
    pub fn borne_by(&self, environ: &[u8]) -> Option<Bearer> {
        environ.split(|byte| *byte == 0).find_map(|variable| {
            let (name, value) = std::str::from_utf8(variable).ok()?.split_once('=')?;
            let bearer = match name {
                RUN_ENV => Bearer::Member,
                KEEPER_ENV => Bearer::Keeper,
                _ => return None,
            };
            value.split(':').any(|word| word == self.0).then_some(bearer)
        })
    }
}

impl TryFrom<String> for Cookie {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if is_cookie(&text) { Ok(Self(text)) } else { Err(format!("{text:?} is not a run's cookie")) }
    }
}

impl From<Cookie> for String {
    fn from(cookie: Cookie) -> Self {
        cookie.0
    }
}

fn is_cookie(word: &str) -> bool {
    word.len() == LEN && word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_inside_of_a_run_carries_both_cookies() {
        let [outer, inner, other] = [(); 3].map(|()| Cookie::random().expect("random numbers"));
        let value = inner.behind(outer.as_str());
        assert_eq!(value, format!("{}:{}", outer.as_str(), inner.as_str()));
        let environ = format!("PATH=/bin\0{RUN_ENV}={value}\0HOME=/root\0");
        assert_eq!(outer.borne_by(environ.as_bytes()), Some(Bearer::Member));
        assert_eq!(inner.borne_by(environ.as_bytes()), Some(Bearer::Member));
        assert_eq!(other.borne_by(environ.as_bytes()), None);
        let keeper = format!("{KEEPER_ENV}={value}\0");
        assert_eq!(inner.borne_by(keeper.as_bytes()), Some(Bearer::Keeper));
    }

    #[test]
    fn a_process_comes_from_one_worker_of_the_innermost_run() {
        let [outer, inner] = [(); 2].map(|()| Cookie::random().expect("random numbers"));
        let environ = |runs: &str, worker: &str| format!("PATH=/bin\0{RUN_ENV}={runs}\0{WORKER_ENV}={worker}\0");
        let own = environ(outer.as_str(), "web/0");
        assert!(outer.is_of("web/0", own.as_bytes()) && !outer.is_of("web/1", own.as_bytes()));
        let within = environ(&inner.behind(outer.as_str()), "web/0");
        assert!(inner.is_of("web/0", within.as_bytes()) && !outer.is_of("web/0", within.as_bytes()));
        assert!(!outer.is_of("web/0", b"") && !outer.is_of("web/0", outer.as_str().as_bytes()));
    }

    #[test]
    fn a_cookie_in_another_variable_or_as_a_part_of_a_word_is_none() {
        let cookie = Cookie::random().expect("random numbers");
        for environ in [format!("X{RUN_ENV}={}\0", cookie.0), format!("{RUN_ENV}={}0\0", cookie.0), String::new()] {
            assert_eq!(cookie.borne_by(environ.as_bytes()), None);
        }
        assert_eq!(cookie.borne_by(b"\xff\xfe=\xff\0\0"), None);
    }

    #[test]
    fn what_is_inherited_is_bounded_and_no_garbage_is_handed_on() {
        let mut value = String::from("garbage:");
        for _ in 0..OUTER + 9 {
            value = Cookie::random().expect("random numbers").behind(&value);
        }
        assert_eq!(value.split(':').count(), OUTER + 1);
        assert!(value.split(':').all(is_cookie));
    }

    #[test]
    fn what_is_no_cookie_is_not_read_as_one() {
        assert!(Cookie::try_from("0123456789abcdef0123456789abcdef".to_owned()).is_ok());
        for text in ["", "0123", "0123456789ABCDEF0123456789ABCDEF", "0123456789abcdef0123456789abcde:"] {
            assert!(Cookie::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
