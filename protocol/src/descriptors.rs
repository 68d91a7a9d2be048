//! Descriptors that a worker is started with, beside its standard ones: without them a worker that runs as another user
//! than the supervisor could not reach its page and its queues, which lie in a folder that is closed to that user.
//!
//! They are listed in [`DESCRIPTORS_ENV`], such as `door=5 page=6 queue:raw=7`. A worker that finds no such list opens
//! everything by its path.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use crate::shm;

/// Environment variable: the list.
pub const DESCRIPTORS_ENV: &str = "BRIGADE_DESCRIPTORS";

/// What a descriptor is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Use {
    /// The socket at which the worker knocks. It is there to be connected to, not to be read.
    Door,
    /// Its page.
    Page,
    /// The queue of this name.
    Queue(String),
}

impl Use {
    fn word(&self) -> String {
        match self {
            Self::Door => "door".to_owned(),
            Self::Page => "page".to_owned(),
            Self::Queue(name) => format!("queue:{name}"),
        }
    }
}

/// The list for a worker that is about to be started with these.
pub fn list(descriptors: &[(Use, OwnedFd)]) -> OsString {
    let words = descriptors.iter().map(|(what, fd)| format!("{}={}", what.word(), fd.as_raw_fd()));
    words.collect::<Vec<_>>().join(" ").into()
}

/// The number of this process's descriptor for something; `None` if it was started without one.
pub fn number(what: &Use) -> Option<RawFd> {
    number_in(&std::env::var(DESCRIPTORS_ENV).ok()?, what)
}

fn number_in(list: &str, what: &Use) -> Option<RawFd> {
    let word = what.word();
    let pairs = list.split(' ').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(name, _)| *name == word).find_map(|(_, number)| number.parse().ok())
}

/// The file behind this process's descriptor for something; `None` if it was started without one. The descriptor itself
/// is not inherited any further from then on.
///
/// # Errors
/// The list names a descriptor that is not open.
pub fn file(what: &Use) -> io::Result<Option<File>> {
    number(what).map(|number| Ok(File::from(shm::inherited(number)?))).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_use_finds_its_own_number() {
        let (door, page) = (File::open("/dev/null").expect("it opens"), File::open("/dev/null").expect("it opens"));
        let (first, second) = (door.as_raw_fd(), page.as_raw_fd());
        let queue = Use::Queue("page".into());
        let list = list(&[(Use::Door, door.into()), (queue.clone(), page.into())]);
        let list = list.to_str().expect("it is text");
        assert_eq!(number_in(list, &Use::Door), Some(first));
        assert_eq!(number_in(list, &queue), Some(second));
        assert_eq!(number_in(list, &Use::Page), None);
        assert_eq!(number_in("", &Use::Door), None);
    }
}
