//! The handle to the thread that reads what workers write. Without it, a worker's words would mix with the
//! supervisor's on its terminal, or fill a pipe that nobody reads.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use brigade_protocol::id::{Incarnation, Post};
use mio::{Poll, Waker};

use super::reader::{Command, Reader, WAKE};
use super::record::{Source, Stream};
use super::rotate::Rotation;

/// How long [`Capture::finish`] waits past its grace for a disk that does not answer.
const SLOW_DISK_WAIT: Duration = Duration::from_secs(5);

/// A pipe that was still open at the end: somebody outside the worker's process group holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// Such as `hash/0`.
    pub worker: String,
    /// Which run of it.
    pub incarnation: Incarnation,
    /// Which of its streams.
    pub stream: Stream,
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stream = match self.stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
            Stream::Log => "log",
        };
        let Self { worker, incarnation, .. } = self;
        write!(f, "{stream} of worker {worker}, incarnation {incarnation}, is still held open by another process")
    }
}

/// The reading thread. Lines go to `DIR/STAGE.log`.
///
/// If the supervisor dies, workers get EPIPE from their next write; what was read is in the files, and what was in the
/// pipes is lost.
#[derive(Debug)]
pub struct Capture {
    inbox: Sender<Command>,
    waker: Waker,
    thread: Option<thread::JoinHandle<()>>,
}

impl Capture {
    /// Starts the thread. `dir` is made if there is none. `write_timeout`: how long workers wait in their writes while
    /// their log cannot be written; after that, what they say is read, dropped and counted until there is room.
    ///
    /// # Errors
    /// When the folder cannot be made, or the system has no descriptors or threads left.
    pub fn start(dir: &Path, rotation: Rotation, write_timeout: Duration) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let (inbox, commands) = mpsc::channel();
        let reader = Reader::new(dir.to_owned(), rotation, write_timeout, poll, commands);
        let thread = thread::Builder::new().name("logs".to_owned()).spawn(move || reader.run())?;
        Ok(Self { inbox, waker, thread: Some(thread) })
    }

    /// Reads the pipe to its end from now on. Never blocks. The reading end becomes non-blocking; the worker's does not.
    pub fn add(&self, source: Source, pipe: OwnedFd) {
        self.tell(Command::Add(source, pipe));
    }

    /// Has the last lines told, at most 10, that this run of the post wrote to stderr, oldest first, safe to show. What is
    /// in the pipe now is read first. None when nothing is known of it (a later run of the same post takes the place of this
    /// one). Does not wait; while the disk is slow, the answer takes a while.
    pub fn ask_last_words(
        &self,
        post: Post,
        incarnation: Incarnation,
        answer: impl FnOnce(Vec<String>) + Send + 'static,
    ) {
        self.tell(Command::LastWords { post, incarnation, answer: Box::new(answer) });
    }

    /// Reads all pipes to their ends, and waits `grace` at most for those that nobody closes; these are the leaks.
    /// What is in a leaked pipe is still read. Lines that could not be written by then are counted and named by an
    /// error in the supervisor's log.
    pub fn finish(mut self, grace: Duration) -> Vec<Leak> {
        self.end(grace)
    }

    fn end(&mut self, grace: Duration) -> Vec<Leak> {
        let Some(thread) = self.thread.take() else { return Vec::new() };
        let (answer, leaks) = mpsc::sync_channel(1);
        self.tell(Command::Finish { deadline: Instant::now() + grace, answer });
        match leaks.recv_timeout(grace + SLOW_DISK_WAIT) {
            Ok(leaks) => {
                if thread.join().is_err() {
                    tracing::error!("the thread that writes the logs panicked");
                }
                leaks
            }
            Err(RecvTimeoutError::Timeout) => {
                tracing::error!("the disk does not answer; the end of the logs may be missing");
                Vec::new()
            }
            Err(RecvTimeoutError::Disconnected) => {
                tracing::error!("the thread that writes the logs is gone; the end of the logs is missing");
                Vec::new()
            }
        }
    }

    /// A command for a thread that is gone is dropped; [`finish`](Self::finish) says so.
    fn tell(&self, command: Command) {
        if self.inbox.send(command).is_ok()
            && let Err(error) = self.waker.wake()
        {
            tracing::error!(%error, "cannot wake the thread that writes the logs");
        }
    }
}

impl Drop for Capture {
    /// Like [`finish`](Self::finish) without grace.
    fn drop(&mut self) {
        for leak in self.end(Duration::ZERO) {
            tracing::warn!("{leak}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::process::{Child, Stdio};

    use super::super::record::{Level, Record};
    use super::*;

    /// Enough for a machine under load; a test that passes does not wait.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn source(incarnation: u32, stream: Stream) -> Source {
        let (stage, worker, incarnation) = ("hash".to_owned(), "hash/0".to_owned(), Incarnation(incarnation));
        Source { stage, worker, post: Post(1), incarnation, stream }
    }

    fn until(what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < deadline, "in vain: {what}");
            thread::yield_now();
        }
    }

    fn records(dir: &Path) -> Vec<Record> {
        let text = fs::read_to_string(dir.join("hash.log")).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).expect("it is a record")).collect()
    }

    fn messages(dir: &Path) -> Vec<String> {
        records(dir).into_iter().map(|record| record.message).collect()
    }

    fn last_words(capture: &Capture, post: Post, incarnation: Incarnation) -> Vec<String> {
        let (tell, words) = mpsc::channel();
        capture.ask_last_words(post, incarnation, move |words| tell.send(words).expect("somebody waits"));
        words.recv_timeout(PATIENCE).expect("an answer")
    }

    fn start(dir: &Path) -> Capture {
        Capture::start(dir, Rotation::default(), PATIENCE).expect("it starts")
    }

    fn shell(script: &str) -> Child {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("there is a shell")
    }

    #[test]
    fn a_flood_through_a_real_pipe_loses_nothing_and_keeps_its_order() {
        const LINES: u64 = 200_000;
        let dir = tempfile::tempdir().expect("a directory");
        let capture = start(dir.path());
        let (reading, mut writing) = io::pipe().expect("a pipe");
        capture.add(source(1, Stream::Stdout), reading.into());
        let (quiet, mut whisper) = io::pipe().expect("a pipe");
        capture.add(source(1, Stream::Stderr), quiet.into());
        let rest = "x".repeat(242);
        let mut out = io::BufWriter::new(&mut writing);
        for number in 0..LINES {
            writeln!(out, "{number:07} {rest}").expect("it is read");
            if number == LINES / 2 {
                writeln!(whisper, "heard").expect("it is read");
                until("the other source has its turn", || last_words(&capture, Post(1), Incarnation(1)) == ["heard"]);
            }
        }
        drop(out);
        drop((writing, whisper));
        assert_eq!(capture.finish(PATIENCE), []);
        let mut next = 0;
        let old = (1..100).map(|number| format!("hash.log.{number}"));
        for name in old.chain(["hash.log".to_owned()]) {
            let Ok(text) = fs::read_to_string(dir.path().join(name)) else { continue };
            for line in text.lines().filter(|line| line.contains("stdout")) {
                let message = format!("\"message\":\"{next:07} {rest}\"}}");
                assert!(line.ends_with(&message), "line {next} is {line}");
                next += 1;
            }
        }
        assert_eq!(next, LINES);
    }

    #[test]
    fn every_run_has_its_own_stamp_and_the_unterminated_last_line_is_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let capture = start(dir.path());
        let mut writers = Vec::new();
        for incarnation in [1, 2] {
            let (reading, mut writing) = io::pipe().expect("a pipe");
            capture.add(source(incarnation, Stream::Stderr), reading.into());
            write!(writing, "run {incarnation}").expect("it fits");
            writers.push(writing);
        }
        drop(writers);
        assert_eq!(capture.finish(PATIENCE), []);
        let mut found: Vec<_> =
            records(dir.path()).into_iter().map(|r| (r.incarnation.0, r.message, r.partial)).collect();
        found.sort();
        assert_eq!(found, [(1, "run 1".to_owned(), true), (2, "run 2".to_owned(), true)]);
    }

    #[test]
    fn last_words_hold_what_is_in_the_pipe_after_an_exit() {
        let dir = tempfile::tempdir().expect("a directory");
        let capture = start(dir.path());
        let script = "i=0; while [ $i -lt 15 ]; do echo line $i >&2; i=$((i+1)); done; printf 'end\\033' >&2; exit 1";
        let mut child = shell(script);
        capture.add(source(1, Stream::Stderr), child.stderr.take().expect("it is a pipe").into());
        child.wait().expect("it ends");
        let words = last_words(&capture, Post(1), Incarnation(1));
        assert_eq!(words.len(), 10, "{words:?}");
        assert_eq!((words[0].as_str(), words[9].as_str()), ("line 6", "end\\x1b"));
        assert_eq!(last_words(&capture, Post(1), Incarnation(2)), Vec::<String>::new());
    }

    #[test]
    fn a_pipe_that_a_stranger_holds_is_a_leak_and_its_words_are_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let capture = start(dir.path());
        let mut child = shell("printf begun; exec 1>&2; echo held; read line");
        capture.add(source(4, Stream::Stderr), child.stderr.take().expect("it is a pipe").into());
        capture.add(source(4, Stream::Stdout), child.stdout.take().expect("it is a pipe").into());
        until("it has spoken", || messages(dir.path()).len() == 2);
        let leaks = capture.finish(Duration::from_millis(100));
        let leak = Leak { worker: "hash/0".to_owned(), incarnation: Incarnation(4), stream: Stream::Stderr };
        assert_eq!(leaks, [leak]);
        assert_eq!(
            leaks[0].to_string(),
            "stderr of worker hash/0, incarnation 4, is still held open by another process"
        );
        drop(child.stdin.take());
        child.wait().expect("it ends");
        let mut messages = messages(dir.path());
        messages.sort();
        assert_eq!(messages, ["begun", "held"]);
    }

    #[test]
    fn a_full_disk_makes_workers_wait_and_loses_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("hash.log");
        std::os::unix::fs::symlink("/dev/full", &path).expect("a link");
        let capture = start(dir.path());
        let (reading, mut writing) = io::pipe().expect("a pipe");
        capture.add(source(1, Stream::Stdout), reading.into());
        // More than the pipe and one turn hold, so this must wait until there is room.
        let lines: Vec<String> = (0..40_000).map(|number| format!("line {number:06}")).collect();
        let text = lines.join("\n") + "\n";
        let writer = thread::spawn(move || writing.write_all(text.as_bytes()).expect("it is read in the end"));
        // Another stage is not held up; and in so many rounds, all of it would have been read.
        let (other, mut speaking) = io::pipe().expect("a pipe");
        let walk = Source { stage: "walk".to_owned(), post: Post(2), ..source(1, Stream::Stderr) };
        capture.add(walk, other.into());
        for number in 0..200 {
            writeln!(speaking, "step {number}").expect("it fits");
            let step = format!("step {number}");
            until("it is heard", || last_words(&capture, Post(2), Incarnation(1)).last() == Some(&step));
        }
        let walked = fs::read_to_string(dir.path().join("walk.log")).expect("it is there");
        assert_eq!(walked.lines().count(), 200);
        assert!(!writer.is_finished(), "the worker does not wait");
        fs::remove_file(&path).expect("there is room now");
        writer.join().expect("it was read");
        drop(speaking);
        assert_eq!(capture.finish(PATIENCE), []);
        assert_eq!(messages(dir.path()), lines);
    }

    #[test]
    fn a_disk_that_stays_full_does_not_hold_up_the_end() {
        let dir = tempfile::tempdir().expect("a directory");
        std::os::unix::fs::symlink("/dev/full", dir.path().join("hash.log")).expect("a link");
        let capture = start(dir.path());
        let (reading, mut writing) = io::pipe().expect("a pipe");
        capture.add(source(1, Stream::Stdout), reading.into());
        writeln!(writing, "one\ntwo").expect("it fits");
        drop(writing);
        assert_eq!(capture.finish(Duration::from_millis(10)), [], "an ended pipe is no leak");
    }

    #[test]
    fn tracing_json_of_a_worker_is_taken_over() {
        let dir = tempfile::tempdir().expect("a directory");
        let capture = start(dir.path());
        let (reading, mut writing) = io::pipe().expect("a pipe");
        capture.add(source(1, Stream::Stderr), reading.into());
        let line = r#"{"timestamp":"2026-11-20T10:28:53Z","level":"ERROR","fields":{"message":"no","code":5}}"#;
        writeln!(writing, "{line}").expect("it fits");
        until("it is heard", || last_words(&capture, Post(1), Incarnation(1)) == ["no code=5"]);
        drop(writing);
        assert_eq!(capture.finish(PATIENCE), []);
        let records = records(dir.path());
        assert_eq!((records[0].level, records[0].message.as_str()), (Level::Error, "no"));
    }

    #[test]
    fn dropping_it_ends_the_thread_and_closes_the_pipes() {
        let dir = tempfile::tempdir().expect("a directory");
        let capture = start(dir.path());
        let mut child = shell("echo hello; read line; echo more");
        capture.add(source(1, Stream::Stdout), child.stdout.take().expect("it is a pipe").into());
        until("it has spoken", || messages(dir.path()) == ["hello"]);
        drop(capture);
        drop(child.stdin.take());
        let status = child.wait().expect("it ends");
        assert!(!status.success(), "its pipe was still read: {status}");
    }
}
