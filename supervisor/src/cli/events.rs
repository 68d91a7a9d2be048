//! `brigade events`: what has changed, when, and by whose wish; also when nothing runs.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use jiff::Timestamp;

use super::follow::{FOLLOW_LINES, Until, end, tell};
use super::say;
use super::select::{Need, Select};
use crate::logs::change::Change;
use crate::logs::own;
use crate::logs::query::{Error, Filter, Query};

/// Show every change of state: when, of which worker, why, and who wanted it
#[derive(Clone, Debug, clap::Args)]
pub struct Events {
    /// Go on with new ones as they come, after the last 10, until Ctrl-C
    #[arg(short, long)]
    pub follow: bool,
    /// One JSON object per line
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show a comment here as the help of the whole command")]
    pub select: Select,
}

/// Shown after the options.
pub const AFTER_HELP: &str = "\
Times are UTC. A line is: time, worker and which run of it, the states, the cause, and in brackets who wanted it: the
supervisor by its own rules, the operator by a command, or a signal to the supervisor. `hash` without a number is
the stage as a whole, `brigade` the whole pipeline. Also works when nothing runs, as far back as the supervisor's own log goes.

Examples:
  brigade events
  brigade events -f
  brigade events --json | jq 'select(.to == \"backoff\") | {time, worker, cause}'";

impl Events {
    /// Shows them. 0, also when the reader of the output has gone, or after Ctrl-C; 1 when there is nothing to read.
    pub fn run(&self) -> ExitCode {
        let dir = match self.select.find(Need::Left) {
            Ok(dir) => dir,
            Err(error) => return say::error(&error),
        };
        let until = if self.follow { Until::told() } else { Until::default() };
        let mut out = io::BufWriter::new(io::stdout().lock());
        end(self.show(&dir.logs(), &mut out, || until.waits()))
    }

    /// `wait` waits before the next look for new ones, and says whether to take it.
    fn show(&self, dir: &Path, out: &mut impl Write, mut wait: impl FnMut() -> bool) -> Result<(), Error> {
        let filter = Filter { stage: Some(own::STAGE.to_owned()), ..Filter::default() };
        let mut query = Query::open(dir, filter, None)?;
        let mut last = VecDeque::new();
        while let Some(change) = next(&mut query)? {
            if self.follow {
                last.push_back(change);
                if last.len() > FOLLOW_LINES {
                    last.pop_front();
                }
            } else {
                self.print(&change, out)?;
            }
        }
        if !self.follow {
            tell(&query.notes());
        }
        for change in last {
            self.print(&change, out)?;
        }
        out.flush().map_err(Error::Write)?;
        while self.follow && wait() {
            query.refresh()?;
            while let Some(change) = next(&mut query)? {
                self.print(&change, out)?;
            }
            out.flush().map_err(Error::Write)?;
        }
        Ok(())
    }

    fn print(&self, change: &Change, out: &mut impl Write) -> Result<(), Error> {
        let mut line = String::new();
        if self.json {
            change.json(&mut line);
        } else {
            change.line(Timestamp::now(), &mut line);
        }
        out.write_all(line.as_bytes()).map_err(Error::Write)
    }
}

/// The next one; `None` when there is none (yet).
fn next(query: &mut Query) -> Result<Option<Change>, Error> {
    while let Some(found) = query.next_line()? {
        if let Some(change) = Change::read(&found.record) {
            return Ok(Some(change));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;

    fn line(number: u32, target: &str) -> String {
        format!(
            r#"{{"time":"2026-11-20T10:28:{number:02}Z","stage":"brigade","worker":"brigade","incarnation":0,"stream":"log","level":"DEBUG","target":"{target}","message":"change","fields":{{"worker":"hash/{number}","incarnation":1,"from":"ready","to":"exited","cause":"exit code 0","actor":"supervisor"}}}}"#
        ) + "\n"
    }

    fn folder(lines: u32) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a folder");
        let both = |n| line(n, crate::logs::change::TARGET) + &line(n, "brigade::reactor::act");
        fs::write(dir.path().join("brigade.log"), (0..lines).map(both).collect::<String>()).expect("written");
        dir
    }

    fn events(follow: bool, json: bool) -> Events {
        Events { follow, json, select: Select::default() }
    }

    #[test]
    fn all_changes_are_shown_and_nothing_else_of_the_log() {
        let (dir, mut out) = (folder(20), Vec::new());
        events(false, false).show(dir.path(), &mut out, || panic!("it does not wait")).expect("shown");
        let text = String::from_utf8(out).expect("text");
        assert_eq!(text.lines().count(), 20, "{text}");
        assert!(
            text.lines()
                .next()
                .is_some_and(|line| line.ends_with("hash/0 #1 ready -> exited: exit code 0 (supervisor)")),
            "{text}"
        );
    }

    #[test]
    fn following_shows_the_last_ten_and_then_what_comes() {
        let (dir, mut out, mut looks) = (folder(20), Vec::new(), 0);
        let wait = || {
            looks += 1;
            let mut file =
                fs::OpenOptions::new().append(true).open(dir.path().join("brigade.log")).expect("it is there");
            file.write_all(line(20 + looks, crate::logs::change::TARGET).as_bytes()).expect("written");
            looks < 4
        };
        events(true, true).show(dir.path(), &mut out, wait).expect("shown");
        let text = String::from_utf8(out).expect("text");
        let workers: Vec<String> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["worker"].to_string())
            .collect();
        let wanted: Vec<String> = (10..20).chain(21..24).map(|n| format!("\"hash/{n}\"")).collect();
        assert_eq!(workers, wanted);
    }

    #[test]
    fn where_nothing_has_run_there_is_nothing_to_show() {
        let dir = tempfile::tempdir().expect("a folder");
        let error =
            events(false, false).show(&dir.path().join("logs"), &mut Vec::new(), || false).expect_err("nothing");
        assert!(error.to_string().starts_with("no logs in "), "{error}");
    }
}
