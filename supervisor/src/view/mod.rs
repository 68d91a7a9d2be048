//! The live view of `run` on a terminal. Without it, people would look at a blinking cursor.
//!
//! It draws in a thread of its own: a terminal that was stopped by Ctrl-S, or hangs behind a slow line, takes no output,
//! and must hold up nothing but this view.

mod echo;
mod picture;
mod rate;
#[cfg(test)]
pub(crate) mod sample;

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use self::echo::Echo;
use self::picture::Size;
use self::rate::Rates;
use crate::logs::show::wants_colour;
use crate::status::Status;

/// Log lines that wait for a terminal that takes none. More are not shown (`brigade logs` has them all), but counted.
const MAX_LINES: usize = 1_000;
/// How long the end waits for such a terminal.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The view. Dropped without [`View::finish`], its last picture stays on the terminal.
#[derive(Debug)]
pub struct View {
    board: Arc<Board>,
    _echo: Option<Echo>,
}

/// What is to be shown, between those who say it and the thread that draws.
#[derive(Debug, Default)]
struct Board {
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

#[derive(Default)]
struct Wanted {
    status: Option<Box<Status>>,
    lines: VecDeque<String>,
    unshown: u64,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Drawing,
    /// The picture is to be cleared.
    Ending,
    /// Nobody draws any more.
    Ended,
}

impl View {
    /// Begins to draw on stderr. If no thread can be started, nothing is drawn, and log lines are printed as they are.
    pub fn new() -> Self {
        Self::on(ProgressDrawTarget::stderr(), Some(Echo::off()))
    }

    fn on(target: ProgressDrawTarget, echo: Option<Echo>) -> Self {
        let board = Arc::new(Board::default());
        let drawn = Arc::clone(&board);
        let started = std::thread::Builder::new().name("view".to_owned()).spawn(move || draw(&drawn, target));
        if started.is_err() {
            board.lock().stage = Stage::Ended;
        }
        Self { board, _echo: echo }
    }

    /// Shows this picture soon, if no newer one comes before. Returns at once.
    pub fn show(&mut self, status: &Status) {
        self.board.lock().status = Some(Box::new(status.clone()));
        self.board.changed.notify_all();
    }

    /// Prints a line above the picture. Returns at once. After the end of the view it is printed as it is.
    pub fn log(&self, line: &str) {
        self.board.log(line);
    }

    /// [`View::log`], to be handed to the log.
    pub fn console(&self) -> Arc<dyn Fn(&str) + Send + Sync> {
        let board = Arc::clone(&self.board);
        Arc::new(move |line| board.log(line))
    }

    /// Prints the lines that wait, and clears the picture. Waits for a terminal that takes no output, but not long.
    pub fn finish(self) {
        let mut wanted = self.board.lock();
        if wanted.stage == Stage::Drawing {
            wanted.stage = Stage::Ending;
        }
        self.board.changed.notify_all();
        let ended = self.board.changed.wait_timeout_while(wanted, LAST_WORDS, |wanted| wanted.stage != Stage::Ended);
        drop(ended.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Default for View {
    fn default() -> Self {
        Self::new()
    }
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Wanted> {
        // Every change of it is a single step: nothing is half done after a panic.
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self, line: &str) {
        let mut wanted = self.lock();
        if wanted.stage == Stage::Ended {
            drop(wanted);
            // A closed stderr must not end the supervisor.
            let _ = writeln!(io::stderr().lock(), "{line}");
        } else if wanted.lines.len() < MAX_LINES {
            wanted.lines.push_back(line.to_owned());
            self.changed.notify_all();
        } else {
            wanted.unshown += 1;
        }
    }

    /// Waits for something to show.
    fn next(&self) -> Wanted {
        let idle =
            |wanted: &mut Wanted| wanted.stage == Stage::Drawing && wanted.status.is_none() && wanted.lines.is_empty();
        let mut wanted = self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        let stage = wanted.stage;
        std::mem::replace(&mut *wanted, Wanted { stage, ..Wanted::default() })
    }
}

impl fmt::Debug for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, lines, unshown, stage } = self;
        write!(f, "{stage:?}, {} pictures, {} lines, {unshown} unshown", u8::from(status.is_some()), lines.len())
    }
}

/// Writes what is to be said after the end of the view. A terminal that takes no output is waited for, but not long: a
/// run that has ended is not to hold its folder until somebody presses Ctrl-Q.
pub fn last_words(text: String) {
    // Nobody could be told that this fails.
    let write = move || drop(io::stderr().lock().write_all(text.as_bytes()));
    if !io::stderr().is_terminal() {
        return write();
    }
    let (said, is_said) = channel();
    let writing = std::thread::Builder::new().name("last words".to_owned()).spawn(move || {
        write();
        let _ = said.send(()); // Nobody waits any more.
    });
    if writing.is_ok() {
        let _ = is_said.recv_timeout(LAST_WORDS);
    }
}

/// The thread. All lines of the picture are one bar to indicatif: so it is drawn as a whole, and once.
fn draw(board: &Board, target: ProgressDrawTarget) {
    let all = MultiProgress::with_draw_target(target);
    let bar = all.add(ProgressBar::new_spinner());
    bar.set_style(ProgressStyle::with_template("{msg}").expect("the template is right"));
    let colour = wants_colour(io::stderr().is_terminal());
    let mut rates = Rates::default();
    loop {
        let wanted = board.next();
        let mut lines: Vec<String> = wanted.lines.into();
        if wanted.unshown > 0 {
            lines.push(format!("{} more lines were not shown here: see `brigade logs brigade`", wanted.unshown));
        }
        if !lines.is_empty() {
            let text = lines.join("\n");
            if all.is_hidden() {
                let _ = writeln!(io::stderr().lock(), "{text}");
            } else {
                let _ = all.println(text);
            }
        }
        if let Some(status) = wanted.status {
            rates.take(&status);
            bar.set_message(picture::lines(&status, &rates, size(), colour).join("\n"));
        }
        if wanted.stage != Stage::Drawing {
            bar.finish_and_clear();
            // Lines that came in the meantime.
            let mut wanted = board.lock();
            wanted.stage = Stage::Ended;
            let rest: Vec<String> = std::mem::take(&mut wanted.lines).into();
            drop(wanted);
            for line in rest {
                let _ = writeln!(io::stderr().lock(), "{line}");
            }
            board.changed.notify_all();
            return;
        }
    }
}

/// Of the terminal behind stderr.
fn size() -> Size {
    match rustix::termios::tcgetwinsize(io::stderr()) {
        Ok(found) if found.ws_col > 0 && found.ws_row > 0 => {
            Size { columns: found.ws_col.into(), rows: found.ws_row.into() }
        }
        Ok(_) | Err(_) => Size { columns: 80, rows: 24 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_that_takes_nothing_holds_up_nobody() {
        // Nobody draws on this board, as if the thread hung in a write.
        let board = Arc::new(Board::default());
        let mut view = View { board: Arc::clone(&board), _echo: None };
        let console = view.console();
        for number in 0..MAX_LINES + 7 {
            console(&format!("line {number}"));
            view.show(&sample::running());
        }
        let wanted = board.next();
        assert_eq!((wanted.lines.len(), wanted.unshown, wanted.status.is_some()), (MAX_LINES, 7, true));
        view.finish();
        assert_eq!(board.lock().stage, Stage::Ending);
    }

    #[test]
    fn the_end_waits_for_the_thread() {
        let mut view = View::on(ProgressDrawTarget::hidden(), None);
        let board = Arc::clone(&view.board);
        view.show(&sample::running());
        view.finish();
        let wanted = board.lock();
        assert_eq!((wanted.stage, wanted.status.is_none()), (Stage::Ended, true));
    }
}
