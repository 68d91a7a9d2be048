//! What a worker of another user is given in hand. The state folder is closed to that user, and stays so: the worker gets
//! its door, its page and the queues of its stage as open descriptors, and nothing else of the folder can be reached by it.
//!
//! The other ways are worse: bits for a group, or access lists, would have to be set on every folder above and would open
//! each queue to all processes of that user; to give the files away by `chown` fails where two users share a queue.

use std::fs::{OpenOptions, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use brigade_protocol::descriptors::Use;
use rustix::fs::{AtFlags, Mode, OFlags, Uid, chownat, open};

/// Opens them all. The door alone also changes hands: to connect to a socket takes the right to write to it. It lies in a
/// folder of its own that the user cannot enter, and serves one incarnation.
///
/// # Errors
/// One of them cannot be opened.
pub fn hand_over(door: &Path, page: &Path, queues: &[(String, PathBuf)], uid: u32) -> io::Result<Vec<(Use, OwnedFd)>> {
    let socket = socket(door, uid)?;
    let shared = |path: &Path| Ok::<_, io::Error>(OwnedFd::from(OpenOptions::new().read(true).write(true).open(path)?));
    let mut all = vec![(Use::Door, socket), (Use::Page, shared(page)?)];
    for (name, path) in queues {
        all.push((Use::Queue(name.clone()), shared(path)?));
    }
    Ok(all)
}

/// Opens the way to one socket, which then belongs to that user.
///
/// # Errors
/// It cannot be opened, or its owner not be changed.
pub fn socket(path: &Path, uid: u32) -> io::Result<OwnedFd> {
    let socket = open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    chownat(&socket, "", Some(Uid::from_raw(uid)), None, AtFlags::EMPTY_PATH)?;
    Ok(socket)
}
