//! The control socket: who connects (the same user or root, nobody else), what they may ask (a closed set, in bounded
//! frames), and how long they may take. A slow or silent client costs a thread of its own, up to a limit, and nobody else.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

use crate::control::{Answer, MAX_REQUEST, Request, read_frame, write_frame};

/// Clients at the same time.
const CLIENTS: usize = 64;
/// How long a client may take to ask or to listen, and the supervisor to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request, and where the answer goes.
#[derive(Debug)]
pub struct Call {
    /// What is asked.
    pub request: Request,
    /// Takes one answer.
    pub answer: Sender<Answer>,
}

/// The listening socket.
#[derive(Debug)]
pub struct Control {
    answering: Arc<AtomicUsize>,
}

impl Control {
    /// Waits until everybody who was answered has the answer, `limit` at most: who asks for a stop is not to be left
    /// without one because the stop was quick.
    pub fn finish(&self, limit: Duration) {
        let begun = Instant::now();
        // Acquire: pairs with the release in `Counted::drop`; the answer is in the socket by then.
        while self.answering.load(Ordering::Acquire) > 0 && begun.elapsed() < limit {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Counts for as long as it lives.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // Release: pairs with the acquire in `Control::finish`.
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// Listens at `path` from now on; every request is handed to `deliver`.
pub fn listen(path: &Path, deliver: impl Fn(Call) + Send + Sync + 'static) -> io::Result<Control> {
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    let deliver = Arc::new(deliver);
    let clients = Arc::new(AtomicUsize::new(0));
    let control = Control { answering: Arc::new(AtomicUsize::new(0)) };
    let answering = Arc::clone(&control.answering);
    thread::Builder::new().name("control".into()).spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else {
                // No descriptors left, perhaps: later there may be some.
                thread::sleep(Duration::from_millis(50));
                continue;
            };
            if clients.load(Ordering::Relaxed) >= CLIENTS {
                continue; // Dropped: the client sees the end of the stream.
            }
            let (deliver, answering, client) = (Arc::clone(&deliver), Arc::clone(&answering), Counted::new(&clients));
            let serve = move || {
                if let Err(error) = serve(stream, &*deliver, &answering) {
                    tracing::debug!(%error, "a client of the control socket broke off");
                }
                drop(client);
            };
            if thread::Builder::new().name("control client".into()).spawn(serve).is_err() {
                tracing::warn!("no thread for a client of the control socket");
            }
        }
    })?;
    Ok(control)
}

fn serve(mut stream: UnixStream, deliver: &(impl Fn(Call) + ?Sized), answering: &Arc<AtomicUsize>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let peer = getsockopt(&stream, PeerCredentials)?.uid();
    if peer != 0 && peer != nix::unistd::geteuid().as_raw() {
        return write_frame(&mut stream, &Answer::Refused(format!("user {peer} may not control this pipeline")));
    }
    let request = match read_frame(&mut stream, MAX_REQUEST) {
        Ok(request) => request,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            return write_frame(
                &mut stream,
                &Answer::Refused(format!("not a request that this version knows: {error}")),
            );
        }
        Err(error) => return Err(error),
    };
    let (answer, answers) = channel();
    let _answering = Counted::new(answering);
    deliver(Call { request, answer });
    let answer =
        answers.recv_timeout(PATIENCE).unwrap_or_else(|_| Answer::Refused("no answer: it is just ending".into()));
    write_frame(&mut stream, &answer)
}
