//! The thread that does nothing but read pipes and write log files. Without a thread of its own, a slow disk would hold
//! up the supervisor's decisions, and a flooding worker all others.
//!
//! Sources take turns of at most [`TURN`] bytes. A stage whose file cannot be written is *stuck*: its pipes are not read
//! any more, so that its workers wait in their writes, nothing is lost, and memory stays bounded; all other stages go on.
//! If that lasts too long, its pipes are read again, and what comes is dropped and counted.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};
use std::time::{Duration, Instant};

use brigade_protocol::id::{Incarnation, Post};
use jiff::Timestamp;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use super::capture::Leak;
use super::frame::{Framer, Piece};
use super::record::{Record, Source, Stream};
use super::rotate::Rotation;
use super::show;
use super::stage::StageLog;
use super::words::LastWords;

/// Wakes the thread for a command. All other tokens are sources.
pub(super) const WAKE: Token = Token(0);
/// Bytes that are read from one source before it is the next one's turn: what a pipe holds by default.
const TURN: usize = 64 * 1024;
/// So many turns empty any pipe, which holds 1 MiB at most unless the administrator allows more.
const ALL_TURNS: usize = 1024 * 1024 / TURN + 1;
/// Before the next attempt when epoll itself fails.
const PAUSE: Duration = Duration::from_millis(500);

/// What the thread is asked for.
pub(super) enum Command {
    /// Read this pipe.
    Add(Source, OwnedFd),
    /// Empty that run's stderr, and say how it ended.
    LastWords { post: Post, incarnation: Incarnation, answer: Box<dyn FnOnce(Vec<String>) + Send> },
    /// Read to the ends of all pipes, until the deadline.
    Finish { deadline: Instant, answer: SyncSender<Vec<Leak>> },
}

struct Pipe {
    source: Source,
    file: File,
    framer: Framer,
    /// It is in `ready`, or waits for its stage.
    queued: bool,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// There may be more.
    More,
    /// Nothing more for now.
    Empty,
    /// The pipe is at its end and was dropped.
    Ended,
    /// Its stage is stuck; nothing was read.
    Stuck,
}

/// The thread's state.
pub(super) struct Reader {
    dir: PathBuf,
    rotation: Rotation,
    write_timeout: Duration,
    poll: Poll,
    commands: Receiver<Command>,
    /// There may be commands for which no wake-up will come any more.
    more_commands: bool,
    pipes: BTreeMap<Token, Pipe>,
    stages: HashMap<String, StageLog>,
    words: LastWords,
    /// Who may have something to read, in order of their turns.
    ready: VecDeque<Token>,
    next_token: usize,
    finish: Option<(Instant, SyncSender<Vec<Leak>>)>,
    chunk: Box<[u8]>,
}

impl Reader {
    pub(super) fn new(
        dir: PathBuf,
        rotation: Rotation,
        write_timeout: Duration,
        poll: Poll,
        commands: Receiver<Command>,
    ) -> Self {
        Self {
            dir,
            rotation,
            write_timeout,
            poll,
            commands,
            more_commands: false,
            pipes: BTreeMap::new(),
            stages: HashMap::new(),
            words: LastWords::default(),
            ready: VecDeque::new(),
            next_token: WAKE.0 + 1,
            finish: None,
            chunk: vec![0; TURN].into_boxed_slice(),
        }
    }

    /// Works until it is told to finish.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(256);
        loop {
            match self.poll.poll(&mut events, self.patience()) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    tracing::error!(%error, "cannot wait for the workers' pipes");
                    std::thread::sleep(PAUSE);
                }
                Ok(()) | Err(_) => {}
            }
            for event in &events {
                self.queue(event.token());
            }
            if !self.obey() {
                return;
            }
            self.unstick();
            for _ in 0..self.ready.len() {
                let Some(token) = self.ready.pop_front() else { break };
                self.take_turn(token);
            }
            if let Some((deadline, answer)) = self.finish.take() {
                let done = self.pipes.is_empty() && self.stages.values().all(|stage| stage.retry().is_none());
                if done || Instant::now() >= deadline {
                    // Nobody is there to hear it if the supervisor has stopped waiting.
                    let _ = answer.send(self.leave());
                    return;
                }
                self.finish = Some((deadline, answer));
            }
        }
    }

    /// How long nothing needs to be done if nothing happens.
    fn patience(&self) -> Option<Duration> {
        if self.more_commands || !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let retries = self.stages.values().filter_map(StageLog::retry);
        let next = retries.chain(self.finish.iter().map(|(deadline, _)| *deadline)).min();
        next.map(|next| next.saturating_duration_since(Instant::now()))
    }

    /// Takes all commands up to one that reads, so that an eager asker leaves turns to the sources. False when nobody is
    /// left to give any.
    fn obey(&mut self) -> bool {
        self.more_commands = false;
        loop {
            match self.commands.try_recv() {
                Ok(Command::Add(source, pipe)) => self.add(source, pipe),
                Ok(Command::LastWords { post, incarnation, answer }) => {
                    answer(self.last_words(post, incarnation));
                    self.more_commands = true;
                    return true;
                }
                Ok(Command::Finish { deadline, answer }) => self.finish = Some((deadline, answer)),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn add(&mut self, source: Source, pipe: OwnedFd) {
        let token = Token(self.next_token);
        self.next_token += 1;
        let (raw, registry) = (pipe.as_raw_fd(), self.poll.registry());
        let watched = rustix::io::ioctl_fionbio(&pipe, true)
            .map_err(io::Error::from)
            .and_then(|()| registry.register(&mut SourceFd(&raw), token, Interest::READABLE));
        match watched {
            // What epoll refuses is a file, which never makes us wait: it is read to its end at once.
            Err(error) if error.kind() != io::ErrorKind::PermissionDenied => {
                tracing::error!(%error, "cannot read {:?} of {}; it is closed", source.stream, source.worker);
                return;
            }
            Ok(()) | Err(_) => {}
        }
        if !self.stages.contains_key(&source.stage) {
            let log = StageLog::open(&self.dir, &source.stage, self.rotation.clone(), self.write_timeout);
            self.stages.insert(source.stage.clone(), log);
        }
        let file = File::from(pipe);
        self.pipes.insert(token, Pipe { source, file, framer: Framer::default(), queued: false });
        self.queue(token);
    }

    /// Gives the source a turn, unless one is coming up already.
    fn queue(&mut self, token: Token) {
        if let Some(pipe) = self.pipes.get_mut(&token)
            && !pipe.queued
        {
            pipe.queued = true;
            self.ready.push_back(token);
        }
    }

    fn take_turn(&mut self, token: Token) {
        match self.turn(token) {
            Turn::More => self.ready.push_back(token),
            Turn::Empty => {
                if let Some(pipe) = self.pipes.get_mut(&token) {
                    pipe.queued = false;
                }
            }
            Turn::Ended => {}
            Turn::Stuck => {
                let stage = self.pipes.get(&token).and_then(|pipe| self.stages.get_mut(&pipe.source.stage));
                stage.expect("a stuck stage is there").waiting.push(token);
            }
        }
    }

    /// Tries the files that could not be written once more, when it is time.
    fn unstick(&mut self) {
        let now = Instant::now();
        for stage in self.stages.values_mut().filter(|stage| stage.retry().is_some_and(|at| at <= now)) {
            stage.write();
            if !stage.is_stuck() {
                self.ready.extend(stage.waiting.drain(..));
            }
        }
    }

    /// Reads at most [`TURN`] bytes of one source, and writes the lines that they complete.
    fn turn(&mut self, token: Token) -> Turn {
        let Some(Pipe { source, file, framer, .. }) = self.pipes.get_mut(&token) else { return Turn::Ended };
        let stage = self.stages.get_mut(&source.stage).expect("made with its first source");
        if stage.is_stuck() {
            return Turn::Stuck;
        }
        let count = match file.read(&mut self.chunk) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Turn::Empty,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Turn::More,
            Err(error) => {
                tracing::error!(%error, "cannot read {:?} of {}; it is closed", source.stream, source.worker);
                0
            }
        };
        let (now, words) = (Timestamp::now(), &mut self.words);
        let mut keep = |piece: Piece<'_>| {
            let record = Record::from_piece(source, now, piece);
            stage.put(&record);
            match source.stream {
                Stream::Stderr => {
                    let mut line = String::new();
                    show::brief(&record, &mut line);
                    words.heard(source, &line);
                }
                Stream::Stdout | Stream::Log => {}
            }
        };
        if count > 0 {
            framer.push(&self.chunk[..count], keep);
            stage.flush();
            return Turn::More;
        }
        framer.finish(&mut keep);
        stage.flush();
        // Closed, it is forgotten by epoll as well; what that may still say of it, meanwhile, is said of nobody.
        self.pipes.remove(&token);
        Turn::Ended
    }

    /// Reads what is in the pipe now, as far as its stage can be written.
    fn empty(&mut self, token: Token) -> Turn {
        (0..ALL_TURNS).map(|_| self.turn(token)).find(|turn| *turn != Turn::More).unwrap_or(Turn::More)
    }

    fn last_words(&mut self, post: Post, incarnation: Incarnation) -> Vec<String> {
        let is_asked_for =
            |source: &Source| (source.post, source.incarnation, source.stream) == (post, incarnation, Stream::Stderr);
        let asked_for = self.pipes.iter().find(|(_, pipe)| is_asked_for(&pipe.source)).map(|(token, _)| *token);
        if let Some(token) = asked_for {
            match self.empty(token) {
                // epoll may not tell us again of what is left.
                Turn::More | Turn::Stuck => self.queue(token),
                Turn::Empty | Turn::Ended => {}
            }
        }
        let mut words = self.words.of(post, incarnation);
        if let Some(pipe) = asked_for.and_then(|token| self.pipes.get(&token))
            && !pipe.framer.pending().is_empty()
        {
            words.extend([LastWords::short(&String::from_utf8_lossy(pipe.framer.pending()))]);
            let surplus = words.len().saturating_sub(LastWords::LINES);
            words.drain(..surplus);
        }
        words
    }

    /// Empties all pipes, whoever still holds them, and names those that are not at their end.
    fn leave(&mut self) -> Vec<Leak> {
        self.stages.values_mut().for_each(StageLog::leave);
        let tokens: Vec<Token> = self.pipes.keys().copied().collect();
        for token in tokens {
            self.empty(token);
        }
        let mut leaks = Vec::new();
        for (_, mut pipe) in std::mem::take(&mut self.pipes) {
            let stage = self.stages.get_mut(&pipe.source.stage).expect("made with its first source");
            pipe.framer.finish(|piece| stage.put(&Record::from_piece(&pipe.source, Timestamp::now(), piece)));
            let Source { worker, incarnation, stream, .. } = pipe.source;
            leaks.push(Leak { worker, incarnation, stream });
        }
        for (_, stage) in self.stages.drain() {
            stage.close();
        }
        leaks
    }
}
