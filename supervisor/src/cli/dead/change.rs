//! `brigade dead retry` and `drop`: asked of the pipeline that runs, which has its files in use; done here, with its folder
//! in hand, when none does.

use std::collections::BTreeMap;
use std::process::ExitCode;

use brigade_protocol::id::{ItemKey, Post};

use super::find::{self, Id};
use super::{Chosen, Which};
use crate::cli::ask::ask;
use crate::cli::say;
use crate::cli::select::{Need, Select};
use crate::control::{Answer, ControlError, Request};
use crate::earlier::processes;
use crate::effects::dead::Gone;
use crate::figures::counted;
use crate::resume::{self, AtRest};
use crate::state::StateDir;

/// Ids in one request: its frame is bounded.
const AT_ONCE: usize = 500;

/// What is to become of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Retry,
    Drop,
}

impl Change {
    fn request(self, queue: &str, which: &Which) -> Request {
        let (queue, which) = (queue.to_owned(), which.clone());
        match self {
            Self::Retry => Request::Retry { queue, which },
            Self::Drop => Request::Drop { queue, which },
        }
    }

    fn done(self, gone: u64, queue: &str) -> String {
        let items = counted(gone, "item");
        match self {
            Self::Retry => format!("{items} sent again to queue {queue}"),
            Self::Drop => format!("{items} of queue {queue} dropped"),
        }
    }
}

/// All of one queue, or of all.
pub(super) fn all(select: &Select, queue: Option<&str>, change: Change) -> ExitCode {
    run(select, change, |dir| {
        let queues = find::queues(dir, queue)?;
        let mut chosen = Vec::new();
        for queue in queues {
            if find::has_any(dir, &queue)? {
                chosen.push((queue, Which::All));
            }
        }
        Ok(chosen)
    })
}

/// Those of these ids. If one is not there, nothing is done.
pub(super) fn these(select: &Select, ids: &[Id], change: Change) -> ExitCode {
    run(select, change, |dir| {
        let mut by_queue: BTreeMap<String, Vec<ItemKey>> = BTreeMap::new();
        for (queue, key) in find::resolve(dir, ids)? {
            by_queue.entry(queue).or_default().push(key);
        }
        let pieces = by_queue.into_iter().flat_map(|(queue, keys)| {
            let pieces = keys.chunks(AT_ONCE).map(|keys| (queue.clone(), Which::These(keys.to_vec())));
            pieces.collect::<Vec<_>>()
        });
        Ok(pieces.collect())
    })
}

fn run(
    select: &Select,
    change: Change,
    choose: impl FnOnce(&StateDir) -> Result<Vec<Chosen>, find::FindError>,
) -> ExitCode {
    let dir = match select.find(Need::Left) {
        Ok(dir) => dir,
        Err(error) => return say::error(&error),
    };
    let chosen = match choose(&dir) {
        Ok(chosen) => chosen,
        Err(error) => return say::error(&error),
    };
    if chosen.is_empty() {
        return say::result("no dead letters\n");
    }
    let mut code = ExitCode::SUCCESS;
    for (queue, which) in chosen {
        match apply(&dir, &queue, &which, change) {
            Ok(Gone { gone, stay, why }) => {
                let said = say::result(&format!("{}\n", change.done(gone, &queue)));
                if said != ExitCode::SUCCESS {
                    return said;
                }
                if let Some(why) = why {
                    code = say::error(&format_args!("{} of queue {queue} not: {why}", counted(stay, "item")));
                }
            }
            Err(why) => code = say::error(&why),
        }
    }
    code
}

fn apply(dir: &StateDir, queue: &str, which: &Which, change: Change) -> Result<Gone, String> {
    match ask(dir, &change.request(queue, which)) {
        Ok(Answer::Gone(gone)) => Ok(gone),
        Ok(Answer::Refused(why)) => Err(why),
        Ok(Answer::Status(_) | Answer::Stopping(_) | Answer::Shared(_) | Answer::Done(_)) => {
            Err("the pipeline answered something else".to_owned())
        }
        Err(ControlError::NotRunning(_)) => at_rest(dir, queue, which, change),
        Err(error @ ControlError::Io { .. }) => Err(error.to_string()),
    }
}

/// With the folder in hand, so that no run begins meanwhile.
fn at_rest(dir: &StateDir, name: &str, which: &Which, change: Change) -> Result<Gone, String> {
    let _held = dir.take("brigade dead").map_err(|error| error.to_string())?;
    let AtRest { queue, mut dead, ended } = resume::at_rest(name, dir).map_err(|error| error.to_string())?;
    if ended > 0 {
        say::note(&format_args!("ended {} that the last run had left", processes(ended)));
    }
    let file = |error| format!("cannot write {}: {error}", dir.dead(name).display());
    match (change, queue) {
        (Change::Drop, queue) => dead.drop_letters(queue.as_ref().ok(), which).map_err(file),
        (Change::Retry, Ok(queue)) => {
            let continues = resume::complete::is_last(dir);
            let note = |error| format!("cannot change {}: {error}", dir.retried().display());
            let was_noted = dir.retried().exists();
            if continues {
                resume::complete::note_retry(dir).map_err(note)?;
            }
            // The last run may have come to its end, and closed it.
            queue.reopen();
            let mut member = queue.join(Post(0), 0).map_err(|error| error.to_string())?;
            let gone = dead.retry(&mut member, which).map_err(file)?;
            if continues && gone.gone > 0 {
                say::note(
                    &"the next run continues the last one, which is complete, for what is sent again, and does nothing else",
                );
            } else if continues && !was_noted {
                resume::complete::forget_retry(dir).map_err(note)?;
            }
            Ok(gone)
        }
        (Change::Retry, Err(error)) => Err(format!("nothing can be sent to queue {name} before the next run: {error}")),
    }
}
