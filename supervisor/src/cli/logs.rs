//! `brigade logs`: what workers and the supervisor said, also when nothing runs.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp};
use regex::Regex;

use super::follow::{FOLLOW_LINES, Until, end, tell};
use crate::logs::query::{Error, Filter, Found, Query};
use crate::logs::record::Level;
use crate::logs::{escape, show};
use crate::who::Who;

/// Show what the workers and the supervisor said, oldest first. Times are UTC. Also works when nothing runs.
#[derive(Clone, Debug, clap::Args)]
pub struct Logs {
    /// Only this stage, or one worker of it (`hash` or `hash/0`; `brigade` is the supervisor itself)
    #[arg(value_name = "STAGE[/N]")]
    who: Option<Who>,

    /// Go on with new lines as they come, until Ctrl-C
    #[arg(short, long)]
    follow: bool,

    /// Only the last LINES lines [default: all; with --follow and without --since: 10]
    #[arg(short = 'n', long, value_name = "LINES")]
    lines: Option<usize>,

    /// Not before: `10m` or `2h` ago, or a time such as 2026-11-20T10:28:53Z (UTC unless it says otherwise)
    #[arg(long, value_name = "T", value_parser = moment)]
    since: Option<Timestamp>,

    /// Not after, written like --since
    #[arg(long, value_name = "T", value_parser = moment, conflicts_with = "follow")]
    until: Option<Timestamp>,

    /// At least this level [default: all; of the supervisor itself: info]
    #[arg(long, value_name = "LEVEL", ignore_case = true)]
    level: Option<Level>,

    /// Only where the message, or the message with its fields, matches this regular expression
    #[arg(long, value_name = "RE", value_parser = |text: &str| Regex::new(text))]
    grep: Option<Regex>,

    /// One JSON record per line, as in the files
    #[arg(long)]
    json: bool,
}

impl Logs {
    /// Shows the logs of the pipeline whose state folder this is. 0 also when the reader of the output has gone, or
    /// after Ctrl-C; 1 when there is nothing to read or no such stage.
    pub fn run(&self, state_dir: &Path) -> ExitCode {
        let until = if self.follow { Until::told() } else { Until::default() };
        let stdout = io::stdout();
        let colour = show::wants_colour(stdout.is_terminal());
        let mut out = io::BufWriter::new(stdout.lock());
        end(self.show(&state_dir.join("logs"), colour, &mut out, || until.waits()))
    }

    /// `wait` waits before the next look for new lines, and says whether to take it.
    fn show(
        &self,
        dir: &Path,
        colour: bool,
        out: &mut impl Write,
        mut wait: impl FnMut() -> bool,
    ) -> Result<(), Error> {
        let default = (self.follow && self.since.is_none()).then_some(FOLLOW_LINES);
        let mut query = match self.lines.or(default) {
            None => {
                let mut query = Query::open(dir, self.filter(), None)?;
                self.print_all(&mut query, colour, out)?;
                query
            }
            Some(count) => {
                let (mut query, last) = self.last(dir, count)?;
                let notes = query.notes();
                if last.len() < count {
                    tell(&notes);
                }
                for found in last {
                    self.print(&found, colour, out)?;
                }
                query
            }
        };
        out.flush().map_err(Error::Write)?;
        if !self.follow && !query.has_seen_worker() {
            return Err(Error::UnknownWorker(self.who.as_ref().and_then(Who::worker).unwrap_or_default()));
        }
        while self.follow && wait() {
            query.refresh()?;
            self.print_all(&mut query, colour, out)?;
            out.flush().map_err(Error::Write)?;
        }
        Ok(())
    }

    /// The last so many lines, out of as few files as will do.
    fn last(&self, dir: &Path, count: usize) -> Result<(Query, VecDeque<Found>), Error> {
        let mut files = Some(1);
        loop {
            let mut query = Query::open(dir, self.filter(), files)?;
            let mut last = VecDeque::new();
            while let Some(found) = query.next_line()? {
                last.push_back(found);
                if last.len() > count {
                    last.pop_front();
                }
            }
            let is_enough = |passed| count == 0 || last.len() == count && last[0].record.time > passed;
            if query.passed().is_none_or(is_enough) {
                return Ok((query, last));
            }
            files = files.map(|files| files * 8).filter(|files| *files < 1000);
        }
    }

    fn filter(&self) -> Filter {
        Filter {
            stage: self.who.as_ref().map(|who| who.stage.clone()),
            worker: self.who.as_ref().and_then(Who::worker),
            level: self.level,
            since: self.since,
            until: self.until,
            grep: self.grep.clone(),
        }
    }

    fn print_all(&self, query: &mut Query, colour: bool, out: &mut impl Write) -> Result<(), Error> {
        let mut next = query.next_line()?;
        tell(&query.notes());
        while let Some(found) = next {
            self.print(&found, colour, out)?;
            next = query.next_line()?;
        }
        tell(&query.notes());
        Ok(())
    }

    fn print(&self, found: &Found, colour: bool, out: &mut impl Write) -> Result<(), Error> {
        let mut line = String::new();
        if self.json {
            line.push_str(&escape::json(&found.json));
            line.push('\n');
        } else {
            show::line(&found.record, Timestamp::now(), colour, &mut line);
        }
        out.write_all(line.as_bytes()).map_err(Error::Write)
    }
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let wrong = || "write how long ago, such as 10m, 2h or 3d, or a time such as 2026-11-20T10:28:53Z".to_owned();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if let Ok(span) = text.parse::<Span>() {
        let length = span.abs().to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
        return Ok(Timestamp::now().checked_sub(length).unwrap_or(Timestamp::MIN));
    }
    let time = text.parse::<DateTime>().map_err(|_| wrong())?;
    time.to_zoned(TimeZone::UTC).map(|time| time.timestamp()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use clap::Parser;

    use super::*;
    use crate::logs::rotate::{RotatingFile, Rotation};

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        logs: Logs,
    }

    fn logs(arguments: &[&str]) -> Logs {
        Command::try_parse_from([&["logs"], arguments].concat()).expect("they are right").logs
    }

    fn line(number: u32) -> String {
        format!(
            r#"{{"time":"2026-11-20T10:28:53.{number:06}Z","stage":"hash","worker":"hash/0","incarnation":1,"stream":"stderr","level":"INFO","message":"line {number} {}"}}"#,
            '\u{9b}'
        ) + "\n"
    }

    fn folder(lines: u32) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("hash.log"), (0..lines).map(line).collect::<String>()).expect("ok");
        dir
    }

    fn shown(dir: &Path, arguments: &[&str]) -> String {
        let mut out = Vec::new();
        logs(arguments).show(dir, false, &mut out, || false).expect("there are logs");
        String::from_utf8(out).expect("it is text")
    }

    #[test]
    fn the_last_lines_are_counted_after_filtering() {
        let dir = folder(30);
        assert_eq!(shown(dir.path(), &[]).lines().count(), 30);
        assert_eq!(shown(dir.path(), &["-f"]).lines().count(), 10);
        let few = shown(dir.path(), &["-n", "2", "--grep", "line 1", "hash/0"]);
        assert!(few.lines().count() == 2 && few.contains("INFO  line 18 \\u{9b}\n"), "{few}");
        assert_eq!(shown(dir.path(), &["-n", "0"]), "");
    }

    #[test]
    fn json_is_the_record_and_safe_to_show() {
        let dir = folder(1);
        let json = shown(dir.path(), &["--json"]);
        assert!(json.contains("line 0 \\u009b\"}"), "{json}");
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("it is JSON");
        assert_eq!(read(&json), read(&line(0)));
    }

    #[test]
    fn following_shows_each_line_once_over_rotations_and_new_stages() {
        let dir = folder(3);
        let rotation = Rotation { max_bytes: 500, ..Rotation::default() };
        let mut file = RotatingFile::open(dir.path(), "hash", rotation).expect("it opens");
        let mut next = 3;
        let wait = || {
            file.buffer().extend_from_slice(line(next).as_bytes());
            file.flush().expect("it is written");
            if next == 20 {
                fs::write(dir.path().join("walk.log"), line(99).replace("hash", "walk")).expect("ok");
            }
            next += 1;
            next < 40
        };
        let mut out = Vec::new();
        logs(&["-f", "-n", "1"]).show(dir.path(), false, &mut out, wait).expect("there are logs");
        let text = String::from_utf8(out).expect("it is text");
        let (walk, hash): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.contains("walk/0"));
        assert_eq!(walk.len(), 1, "{text}");
        let expected = 2..39;
        assert_eq!(hash.len(), expected.len(), "{text}");
        assert!(hash.iter().zip(expected).all(|(line, number)| line.contains(&format!("line {number} "))), "{text}");
    }

    #[test]
    fn an_unknown_worker_is_an_error_and_a_quiet_one_is_not() {
        let dir = folder(3);
        let error = logs(&["hash/7"]).show(dir.path(), false, &mut Vec::new(), || false).expect_err("there is none");
        assert_eq!(error.to_string(), "no line of worker `hash/7` in the logs of its stage");
        assert_eq!(shown(dir.path(), &["hash/0", "--level", "error"]), "");
    }

    #[test]
    fn times_may_be_said_in_several_ways() {
        let exact: Timestamp = "2026-11-20T10:28:53Z".parse().expect("it is a time");
        for text in ["2026-11-20T10:28:53Z", "2026-11-20T11:28:53+01:00", "2026-11-20T10:28:53", "2026-11-20 10:28:53"]
        {
            assert_eq!(moment(text), Ok(exact), "{text}");
        }
        for (text, seconds) in [("10m", 600), ("2h", 7200), ("1d", 86_400), ("1h 30m", 5400), ("10m ago", 600)] {
            let before = Timestamp::now().as_second();
            let ago = before - moment(text).expect("it is a time").as_second();
            assert!(ago <= seconds && ago >= seconds - 5 - (Timestamp::now().as_second() - before), "{text}: {ago}");
        }
        for text in ["", "soon", "10", "2026-13-01T00:00:00Z"] {
            assert!(moment(text).is_err(), "{text}");
        }
    }

    #[test]
    fn wrong_arguments_are_refused() {
        for arguments in [&["--grep", "("], &["--level", "loud"], &["-n", "-1"], &["--since", "soon"]] {
            assert!(Command::try_parse_from([&["logs"], arguments.as_slice()].concat()).is_err(), "{arguments:?}");
        }
        assert!(Command::try_parse_from(["logs", "hash/x"]).is_err());
        assert_eq!(logs(&["hash/03"]).who.and_then(|who| who.worker()).as_deref(), Some("hash/3"));
        assert_eq!(logs(&["--level", "Warn"]).level, Some(Level::Warn));
    }
}
