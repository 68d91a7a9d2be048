//! `brigade dead`: what could not be done, why, and what is to become of it. Without it, dead letters would be files that
//! nobody can read.

mod change;
mod find;
mod item;
mod list;
mod show;

use std::process::ExitCode;

use self::change::Change;
use self::find::Id;
use super::select::Select;
use crate::effects::dead::Which;

/// Show items that ran out of deliveries, send them again, or drop them
#[derive(Clone, Debug, clap::Args)]
pub struct Dead {
    #[command(subcommand)]
    #[expect(missing_docs, reason = "clap would show a comment here as the help of the whole command")]
    pub what: What,
}

/// What is wanted with them.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum What {
    /// List the dead letters
    List {
        /// Of this queue alone [default: of all queues]
        queue: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        #[expect(missing_docs, reason = "see above")]
        select: Select,
    },
    /// Show one of them: its attempts and the whole item
    Show {
        /// As `list` shows it, or its beginning; `QUEUE:ID` for one of that queue
        id: Id,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        #[expect(missing_docs, reason = "see above")]
        select: Select,
    },
    /// Send items again: each goes to the end of its queue, under the same id and with all its deliveries before it
    Retry {
        /// As `list` shows them, or their beginnings; `QUEUE:ID` for one of that queue
        #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
        ids: Vec<Id>,
        /// All of this queue, or of all queues
        #[arg(long, value_name = "QUEUE", num_args = 0..=1)]
        all: Option<Option<String>>,
        #[command(flatten)]
        #[expect(missing_docs, reason = "see above")]
        select: Select,
    },
    /// Drop items for good
    Drop {
        /// As `list` shows them, or their beginnings; `QUEUE:ID` for one of that queue
        #[arg(value_name = "ID", required = true)]
        ids: Vec<Id>,
        #[command(flatten)]
        #[expect(missing_docs, reason = "see above")]
        select: Select,
    },
}

/// Shown after the options.
pub const AFTER_HELP: &str = "\
Works while the pipeline runs, and when it does not: then what is sent again waits in its queue
for the next run. If the last run was complete, the next one continues it: it does what was sent
again, and its sources stay complete. The item keeps its id; the numbers of a run count it as sent
once more, and it stays counted as dead, but not as kept. An item is not sent to a queue whose items
have another type by now: the item stays, and both types are named.

Examples:
  brigade dead list               what could not be done, and why
  brigade dead list hash --json   of one queue, for scripts
  brigade dead show 3f1c
  brigade dead retry 3f1c paths:9a04   the beginnings of ids, if no others begin so
  brigade dead retry --all hash   all of one queue
  brigade dead drop 3f1c00e6a53c9b0d0001000000000007";

impl Dead {
    /// Does it. 0: done; 1: not, or not for all.
    pub fn run(&self) -> ExitCode {
        match &self.what {
            What::List { queue, json, select } => list::run(select, queue.as_deref(), *json),
            What::Show { id, json, select } => show::run(select, id, *json),
            What::Retry { all: Some(queue), select, .. } => change::all(select, queue.as_deref(), Change::Retry),
            What::Retry { ids, all: None, select } => change::these(select, ids, Change::Retry),
            What::Drop { ids, select } => change::these(select, ids, Change::Drop),
        }
    }
}

/// Letters of one queue.
type Chosen = (String, Which);
