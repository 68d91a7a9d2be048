//! The door: where a new worker introduces itself, and where its reports come in.
//!
//! Every incarnation has a door of its own, a one-shot server in the private state folder, and a thread behind it, which
//! waits for the knock, checks it, and then hands on reports until the worker is gone. ipc-channel's `accept` knows no
//! time limit and its receivers panic at malformed frames; both can only hurt this one thread: a door at which nobody
//! will knock any more is ended by knocking ourselves ([`Doors::give_up`]), and a panic is a fault of that worker.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use brigade_protocol::control::{KNOCK_MAGIC, Knock, Order, PROTOCOL, Report, Welcome};
use brigade_protocol::id::{Incarnation, Post};
use brigade_protocol::shielded::shielded;
use ipc_channel::IpcError;
use ipc_channel::ipc::{IpcOneShotServer, IpcSender};

use crate::porters::{InTurn, Porters};

/// What comes through a door.
#[derive(Debug)]
pub enum Entry {
    /// A worker of this protocol was let in, and this is how to give it orders.
    Knocked(IpcSender<Order>),
    /// Who knocked cannot be let in; in words.
    Refused(String),
    /// A report.
    Said(Report),
    /// It cannot be let in this time, or broke the protocol; in words.
    Broke(String),
    /// Nothing comes any more: all that it had said before its end has been told.
    Closed,
    /// What it wrote to stderr at last. This comes from the one who reads its pipes.
    LastWords(Vec<String>),
}

/// A door at which nobody waits yet. Dropped, it is gone.
pub struct Door {
    /// What stands in the worker's environment.
    pub name: String,
    /// What the worker must say.
    pub token: String,
    server: IpcOneShotServer<Knock>,
}

/// Hands what comes through a door to the reactor.
pub type Deliver = Arc<dyn Fn(Post, Incarnation, Entry) + Send + Sync>;

impl Door {
    /// Makes a door for one incarnation.
    pub fn open() -> io::Result<Self> {
        let (server, name) = shielded(IpcOneShotServer::<Knock>::new).map_err(|_| no_place())?.map_err(no_socket)?;
        Ok(Self { name, token: crate::random::word()?, server })
    }

    /// Waits behind it from now on, in a thread of its own; who has knocked meanwhile is let in, with this welcome, or with
    /// the reason why not. Ends with the worker, or by [`Doors::give_up`].
    pub fn wait(
        self,
        post: Post,
        incarnation: Incarnation,
        welcome: Result<Welcome, String>,
        deliver: Deliver,
        porters: &Porters,
    ) -> io::Result<Watched> {
        let Self { server, token, name } = self;
        let (end, over) = channel();
        let wait = move || {
            let _end = end;
            let tell = |entry| deliver(post, incarnation, entry);
            let _closing = Closing(&tell);
            let (connection, knock) = match shielded(|| server.accept()) {
                Ok(Ok(both)) => both,
                Ok(Err(IpcError::Io(error))) => return tell(Entry::Broke(format!("it could not be let in: {error}"))),
                Ok(Err(_)) => return, // Nobody there any more: the exit will tell.
                Err(_) => return tell(Entry::Refused("its first message is not that of a Brigade worker".into())),
            };
            match check(&knock, &token) {
                Ok(()) => {}
                Err(words) => return tell(Entry::Refused(words)),
            }
            let welcome = match welcome {
                Ok(welcome) => Order::Welcome(Box::new(welcome)),
                Err(words) => return tell(Entry::Broke(words)),
            };
            // Its first message: it fits into the socket, so this does not wait.
            if let Err(error) = knock.orders.send(welcome) {
                return tracing::debug!(%error, "a worker was gone before its welcome");
            }
            // The last that holds the door's file, which is gone by now: the file system may take a while to forget it.
            drop(connection);
            tell(Entry::Knocked(knock.orders));
            loop {
                match shielded(|| knock.reports.recv()) {
                    Ok(Ok(report)) => tell(Entry::Said(report)),
                    Ok(Err(IpcError::Disconnected)) => return,
                    Ok(Err(error)) => return tell(Entry::Broke(format!("its report cannot be read: {error}"))),
                    Err(_) => return tell(Entry::Broke("its report is malformed".into())),
                }
            }
        };
        porters.give(wait)?;
        Ok(Watched { name, over })
    }
}

/// A door behind which somebody waits for a knock.
#[derive(Debug)]
pub struct Watched {
    name: String,
    /// Says nothing, but ends with the thread behind the door.
    over: Receiver<()>,
}

impl Watched {
    /// How long the next door waits for this one to be gone.
    const PATIENCE: Duration = Duration::from_millis(100);

    fn give_up(self) {
        // Connects, says nothing and hangs up; the thread takes that for a worker that died.
        drop(IpcSender::<Knock>::connect(self.name));
        let _ = self.over.recv_timeout(Self::PATIENCE);
    }
}

/// Doors at which nobody will knock any more, and a thread that ends them one after the other: a thousand that end at once
/// are in each other's way at the folder in which they all are, and keep everybody else waiting.
#[derive(Debug)]
pub struct Doors(InTurn<Watched>);

impl Default for Doors {
    fn default() -> Self {
        Self(InTurn::new(Watched::give_up))
    }
}

impl Doors {
    /// Ends the thread behind the door, soon.
    pub fn give_up(&mut self, door: Watched, porters: &Porters) {
        self.0.give(door, porters).unwrap_or_else(Watched::give_up);
    }
}

/// A door is a socket in a folder of its own; when that cannot be made, ipc-channel panics.
fn no_place() -> io::Error {
    let folder = tempfile::env::temp_dir();
    match tempfile::tempdir() {
        Err(error) => error,
        Ok(_) => io::Error::other(format!("no folder for it could be made in {} a moment ago", folder.display())),
    }
}

/// Without a socket ipc-channel goes on with the number of none.
fn no_socket(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(libc::EBADF) => io::Error::other("there is no socket to be had: too many files are open, most likely"),
        _ => error,
    }
}

/// Opens nothing, but finds out what ipc-channel finds out only once, and would not try again if it failed then.
///
/// # Errors
/// In words.
pub fn prepare() -> Result<(), String> {
    shielded(|| {
        let (sender, receiver) = ipc_channel::ipc::channel::<()>().map_err(|error| error.to_string())?;
        sender.send(()).map_err(|error| error.to_string())?;
        receiver.recv().map_err(|error| error.to_string())
    })?
}

/// Tells, however the thread behind a door ends, that it has ended.
struct Closing<'a, Tell: Fn(Entry)>(&'a Tell);

impl<Tell: Fn(Entry)> Drop for Closing<'_, Tell> {
    fn drop(&mut self) {
        (self.0)(Entry::Closed);
    }
}

fn check(knock: &Knock, token: &str) -> Result<(), String> {
    if knock.magic != KNOCK_MAGIC {
        return Err("its first message is not that of a Brigade worker".into());
    }
    if knock.protocol != PROTOCOL {
        return Err(format!(
            "it speaks protocol {} (brigade-worker {}), this supervisor speaks {PROTOCOL} (brigade {}): build it with the matching brigade-worker",
            knock.protocol,
            knock.sdk,
            env!("CARGO_PKG_VERSION")
        ));
    }
    if knock.token != token {
        return Err("it does not know its token: it is not the process that was started".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doors_are_closed_one_after_the_other_and_one_with_a_silent_stranger_holds_up_none_for_long() {
        let (porters, mut doors) = (Porters::default(), Doors::default());
        let (tell, told) = channel();
        let deliver: Deliver = Arc::new(move |post, _, entry| {
            if matches!(entry, Entry::Closed) {
                tell.send(post).expect("somebody listens");
            }
        });
        let watched = (0..3).map(|n| {
            let door = Door::open().expect("a door");
            door.wait(Post(n), Incarnation(1), Err("nobody is let in".into()), deliver.clone(), &porters)
                .expect("a thread")
        });
        let watched: Vec<_> = watched.collect();
        let stranger = IpcSender::<Knock>::connect(watched[0].name.clone()).expect("the door is there");
        watched.into_iter().for_each(|door| doors.give_up(door, &porters));
        assert_eq!([told.recv(), told.recv()], [Ok(Post(1)), Ok(Post(2))]);
        drop(stranger);
        assert_eq!(told.recv(), Ok(Post(0)));
    }
}
