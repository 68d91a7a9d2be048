//! `brigade run` from the file to the exit code: believe the plan, take the state folder, make the queues, run the
//! reactor, tell the numbers.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use brigade_protocol::crash_point;

use crate::config::plan::Plan;
use crate::config::{self, Surroundings};
use crate::core::Core;
use crate::core::action::Verdict;
use crate::door;
use crate::earlier::{self, EarlierError};
use crate::figures::{counted, grouped};
use crate::kin::cookie::Cookie;
use crate::kin::process;
use crate::logs::own::{self, Console};
use crate::logs::{Archive, Capture};
use crate::missing::{self, Missing};
use crate::reactor::{Ending, Keeping, Origin, Outfit, Reactor, Spoilt};
use crate::resume::{self, ResumeError, Resumed};
use crate::sources::signals::Signals;
use crate::state::{StateDir, StateError, StateFolder};
use crate::status::{Report, Status};
use crate::trust::{self, Doubt};
use crate::view::{View, last_words};
use crate::{report, verdict};

/// What `brigade run` was asked to do.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The pipeline file.
    pub file: PathBuf,
    /// Values for its `${…}`.
    pub sets: Vec<(String, String)>,
    /// The state folder, if not the default one.
    pub state_dir: Option<PathBuf>,
    /// Root runs it even if others can change what it consists of.
    pub allow_writable: bool,
    /// Put an old state aside first.
    pub fresh: bool,
    /// Where to write the report.
    pub report: Option<PathBuf>,
    /// Say nothing but errors.
    pub quiet: bool,
}

/// Why a run could not begin, or could not go on.
#[derive(Debug, thiserror::Error)]
enum LaunchError {
    #[error(transparent)]
    State(#[from] StateError),
    #[error("others could change the state folder: {what}; {mend}; or run it with --allow-writable")]
    Open { what: String, mend: String },
    #[error("no place for the state folder: set XDG_STATE_HOME or HOME, or name one with --state-dir")]
    NoBase,
    #[error(transparent)]
    Resume(#[from] ResumeError),
    #[error(transparent)]
    Earlier(#[from] EarlierError),
    #[error("cannot {what}: {source}")]
    Io { what: String, source: io::Error },
}

/// Runs a pipeline to its end.
pub fn launch(launch: &Launch) -> ExitCode {
    let here = Surroundings::of_this_process().allow_writable(launch.allow_writable);
    let plan = match config::load(&launch.file, &launch.sets, &here) {
        Ok(plan) => plan,
        Err(faults) => {
            faults.show();
            return ExitCode::from(verdict::FAULT);
        }
    };
    match run(launch, plan, &here) {
        Ok(code) => code,
        Err(error) => {
            // Nobody could be told that this fails: stderr may be a file on a full disk.
            last_words(format!("brigade: {error}\n"));
            ExitCode::from(match error {
                LaunchError::Resume(error) if error.is_of_the_plan() => verdict::FAULT,
                LaunchError::State(_)
                | LaunchError::Open { .. }
                | LaunchError::NoBase
                | LaunchError::Resume(_)
                | LaunchError::Earlier(_)
                | LaunchError::Io { .. } => verdict::ERROR,
            })
        }
    }
}

fn run(launch: &Launch, plan: Plan, here: &Surroundings) -> Result<ExitCode, LaunchError> {
    let io = |what: &str| {
        let what = what.to_owned();
        move |source| LaunchError::Io { what, source }
    };
    // Before anything is made: a signal from now on is an orderly stop.
    let signals = Signals::register().map_err(io("listen for signals"))?;
    brigade_protocol::shm::survive_cut_files().map_err(io("survive files that are cut short"))?;
    let dir = match &launch.state_dir {
        Some(path) => StateDir::at(path),
        None => StateDir::at(&StateDir::base().ok_or(LaunchError::NoBase)?.join(&plan.name)),
    };
    if nix::unistd::geteuid().is_root()
        && !launch.allow_writable
        && let Some(Doubt { what, mend }) = trust::doubt(dir.root(), &[0])
    {
        return Err(LaunchError::Open { what, mend });
    }
    let aside = if launch.fresh { dir.put_aside()? } else { None };
    let folder = dir.take(&plan.name)?;
    crash_point!("folder_taken");
    tempfile::env::override_temp_dir(&dir.tmp()).ok(); // Where ipc-channel makes its sockets.
    nix::sys::prctl::set_child_subreaper(true).map_err(|error| io("become the reaper of orphans")(error.into()))?;

    door::prepare().map_err(|words| io("make a channel for workers")(io::Error::other(words)))?;

    let view = (!launch.quiet && io::stderr().is_terminal()).then(View::new);
    let console = match &view {
        _ if launch.quiet => Console::Quiet,
        Some(view) => Console::Through(view.console()),
        None => Console::Stderr,
    };
    let archive = Archive::start(&dir.logs(), &plan.logs).map_err(io("start the keeper of old logs"))?;
    own::init(&dir.logs(), archive.rotation(), console).map_err(io("write the log"))?;
    if let Some(aside) = &aside {
        tracing::info!("the old state is in {}", aside.display());
    }
    resume::refuse_other_versions(&dir)?;
    let (keeping, cut_short) = begin(aside.as_deref(), &dir)?;
    let resumed = resume::resume(&plan, &dir, cut_short)?;
    for words in Missing::read(&dir).map_err(io("know what was put aside"))?.words() {
        tracing::warn!("put aside in an earlier run: {words}");
    }
    if !resumed.complete.is_empty() {
        tracing::info!(
            "continues the last run, which was complete, for what was sent again: {}; already complete: {}",
            counted(resumed.items, "item"),
            resumed.complete.join(", ")
        );
    } else if resumed.goes_on {
        tracing::info!("{}", continues(&resumed));
    }
    if !resumed.goes_on {
        forget_shared(&dir).map_err(io("put the shared state of the last run aside"))?;
    }
    let capture = Capture::start(&dir.logs(), archive.rotation(), plan.logs.write_timeout)
        .map_err(io("start the reader of logs"))?;
    tracing::info!(state = %dir.root().display(), "{}: {}, {}", plan.name, counted(plan.stages.len() as u64, "stage"), counted(plan.queues.len() as u64, "queue"));

    let seed = u64::from(std::process::id()) ^ jiff::Timestamp::now().as_microsecond().unsigned_abs();
    let core = Core::new(plan.clone(), seed).with_complete(&resumed.complete).with_done(&resumed.done);
    let origin = Origin { sets: launch.sets.clone(), here: here.clone() };
    let outfit = Outfit { core, dir: dir.clone(), origin, queues: resumed.queues, capture, signals, keeping, view };
    let ending = Reactor::new(outfit).and_then(Reactor::run).map_err(io("run the reactor"))?;
    drop(archive);
    conclude(launch, folder, ending)
}

/// What is continued, in words.
fn continues(resumed: &Resumed) -> String {
    let was = if resumed.items == 1 { "was" } else { "were" };
    let mut words = format!(
        "continues an earlier run: {} {was} left, {} in the hands of workers",
        counted(resumed.items, "item"),
        grouped(resumed.leased)
    );
    if !resumed.done.is_empty() {
        let done: Vec<String> = resumed.done.iter().map(|(stage, replica)| format!("{stage}/{replica}")).collect();
        words.push_str(&format!("; already complete: {}", done.join(", ")));
    }
    words
}

/// Ends what an earlier run has left alive, whose state may have been put aside, and notes that this one begins.
fn begin(aside: Option<&Path>, dir: &StateDir) -> Result<(Keeping, u32), LaunchError> {
    let sees_processes = process::check();
    match &sees_processes {
        Ok(()) => _ = earlier::end_what_lives(&aside.map_or_else(|| dir.clone(), StateDir::at))?,
        Err(error) => tracing::warn!(
            "cannot see who lives ({error}): if this supervisor is killed, what workers have started may live on"
        ),
    }
    let cookie = Cookie::random().map_err(|source| LaunchError::Io { what: "draw a number".to_owned(), source })?;
    let cut_short = earlier::begin(dir, &cookie)?;
    Ok((Keeping::new(cookie, sees_processes.is_ok()), cut_short))
}

/// Tells the numbers, and says with which code to exit.
fn conclude(launch: &Launch, folder: StateFolder, ending: Ending) -> Result<ExitCode, LaunchError> {
    let mut picture = ending.picture;
    // Numbers out of a spoilt queue would be lies.
    picture.queues.retain(|queue| ending.spoilt.iter().all(|spoilt| spoilt.queue.as_ref() != Some(&queue.name)));
    let mut numbers = verdict::report(&ending.plan, &ending.verdict, &picture, ending.dead_letters);
    match Missing::read(&folder.dir) {
        Ok(missing) => numbers.put_aside = missing.words().cloned().collect(),
        Err(error) => numbers.put_aside = vec![error.to_string()],
    }
    if !ending.spoilt.is_empty() {
        let words: Vec<String> = ending.spoilt.iter().map(|spoilt| put_spoilt_aside(spoilt, &folder.dir)).collect();
        numbers.verdict = words.join("; ");
        numbers.exit_code = verdict::ERROR;
    }
    let left: u64 = numbers.queues.values().map(|queue| queue.left + queue.dead).sum();
    if folder.dir.is_gone() && left > 0 {
        numbers.verdict =
            format!("the state folder was removed while it ran, and what was left with it: {}", counted(left, "item"));
        (numbers.exit_code, numbers.lost) = (verdict::ERROR, numbers.lost + left.cast_signed());
    }
    // Before there is nothing to go on with: killed in between, who finds no report has to run again, and must not then
    // begin anew.
    let mut written = write_down(launch, &folder.dir, &mut picture, &numbers);
    crash_point!("report_written");
    if ending.verdict == Verdict::Complete && [verdict::FINE, verdict::DEAD_LETTERS].contains(&numbers.exit_code) {
        // While the pages are there: they tell which batches are committed.
        match crate::manager::settle(&folder.dir) {
            Ok(()) => {
                crash_point!("changes_settled");
                if let Err(error) = resume::complete::finish(&folder.dir) {
                    tracing::warn!(%error, "cannot put the pages of the workers away");
                }
                crash_point!("pages_forgotten");
                if let Err(error) = missing::forget(&folder.dir) {
                    tracing::warn!(%error, "cannot remove {}", folder.dir.missing().display());
                }
            }
            Err(words) => {
                numbers.verdict = format!("shared state is not complete: {words}; run it again to complete it");
                numbers.exit_code = verdict::ERROR;
                written = written.and(write_down(launch, &folder.dir, &mut picture, &numbers));
            }
        }
    }
    if launch.quiet {
        if numbers.exit_code != verdict::FINE {
            last_words(format!("brigade: {}\n", report::verdict(&numbers)));
        }
    } else {
        let colour = crate::logs::show::wants_colour(io::stderr().is_terminal());
        last_words(report::coloured(&numbers, colour));
    }
    earlier::end(&folder.dir);
    drop(folder);
    written?;
    if let Some(signal) = ending.killed_by {
        if std::process::id() == 1 {
            // Nothing kills the first process of a container from within: the code says what a shell would.
            return Ok(ExitCode::from(128 + u8::try_from(signal).unwrap_or(0)));
        }
        // The shell is to see the truth: that we were killed.
        let _ = signal_hook::low_level::emulate_default_handler(signal);
    }
    Ok(ExitCode::from(numbers.exit_code))
}

/// Keeps the numbers in the state folder, and writes the report that was asked for.
fn write_down(launch: &Launch, dir: &StateDir, picture: &mut Status, numbers: &Report) -> Result<(), LaunchError> {
    picture.report = Some(numbers.clone());
    if let Err(error) = crate::reactor::keep(dir, picture) {
        tracing::warn!(%error, "cannot write {}", dir.status().display());
    }
    let Some(path) = &launch.report else { return Ok(()) };
    report::write(numbers, path)
        .map_err(|source| LaunchError::Io { what: format!("write the report {}", path.display()), source })
}

/// Says what became of a file that a worker has written over.
fn put_spoilt_aside(spoilt: &Spoilt, dir: &StateDir) -> String {
    let Spoilt { queue, what, why, path } = spoilt;
    let (then, again) = match queue {
        Some(_) => ("the items in it are not handed on", "run again to continue with an empty queue"),
        None => (
            "its checkpoint is not known, and its last batches may have been done or not",
            "run again to do them again; an exact file is not written to until it is moved away",
        ),
    };
    let words = |place: &Path| format!("{what} is spoilt ({why}) and kept as {}: {then}", place.display());
    match missing::put_aside(dir, path, "spoilt", words) {
        Ok(words) => format!("{words}; {again}"),
        Err(error) => format!("{what} is spoilt ({why}), and {} cannot be put aside: {error}", path.display()),
    }
}

/// The lists, maps and counters of a run that has come to its end are not those of the next one.
fn forget_shared(dir: &StateDir) -> io::Result<()> {
    let shared = dir.shared();
    if !shared.exists() {
        return Ok(());
    }
    let old = shared.with_extension("old");
    match std::fs::remove_dir_all(&old) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    crash_point!("shared_forgetting");
    std::fs::rename(&shared, &old)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_state_of_a_run_that_is_over_is_put_aside_whole() {
        let base = tempfile::tempdir().expect("a temporary folder");
        let dir = StateDir::at(base.path());
        forget_shared(&dir).expect("nothing there is no error");
        for last in ["first", "second"] {
            std::fs::create_dir(dir.shared()).expect("made");
            std::fs::write(dir.shared().join("journal.0"), last).expect("written");
            forget_shared(&dir).expect("put aside");
            assert!(!dir.shared().exists());
            assert_eq!(std::fs::read_to_string(base.path().join("shared.old/journal.0")).expect("kept"), last);
        }
    }
}
