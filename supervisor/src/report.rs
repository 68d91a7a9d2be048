//! The numbers at the end of a run, for people and for scripts. Without it, a pipeline would end in silence, and nobody
//! could tell whether something is left.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::figures::{counted, grouped, seconds};
use crate::status::Report;
use crate::table::{Cell, Side, Table, Tint};

/// The short table at the end of a run, without colours: stages, queues, and the verdict.
pub fn table(report: &Report) -> String {
    coloured(report, false)
}

/// [`table`], for a terminal if `colour`.
pub fn coloured(report: &Report, colour: bool) -> String {
    let right = Side::Right;
    let mut stages = Table::new(&[("stage", Side::Left), ("processed", right), ("restarts", right)]);
    for (name, stage) in &report.stages {
        let restarts = Cell::new(grouped(stage.restarts)).tint_if(stage.restarts > 0, Tint::Warn);
        stages.row([Cell::new(name), Cell::new(grouped(stage.processed)), restarts]);
    }
    let mut queues = Table::new(&[
        ("queue", Side::Left),
        ("sent", right),
        ("acked", right),
        ("redelivered", right),
        ("left", right),
        ("dead", right),
    ]);
    for (name, queue) in &report.queues {
        queues.row([
            Cell::new(name),
            Cell::new(grouped(queue.sent)),
            Cell::new(grouped(queue.acked)),
            Cell::new(grouped(queue.redelivered)),
            Cell::new(grouped(queue.left)).tint_if(queue.left > 0, Tint::Warn),
            Cell::new(grouped(queue.dead)).tint_if(queue.dead > 0, Tint::Bad),
        ]);
    }
    let first = stages.first_width().max(queues.first_width());
    stages.widen_first(first);
    queues.widen_first(first);
    let mut out = String::new();
    for (table, rows) in [(stages, report.stages.len()), (queues, report.queues.len())] {
        if rows > 0 {
            out.push_str(&table.text(colour));
            out.push('\n');
        }
    }
    out + &Tint::Bold.paint(&verdict(report), colour) + "\n"
}

/// How it ended: `complete in 12.3 s: 40,000 items through 2 queues, nothing left, nothing lost`. An item counts once for
/// every queue that it went through. Where the verdict is more than a word, the numbers stand on a second line.
pub fn verdict(report: &Report) -> String {
    let words = Cell::new(&report.verdict).into_text();
    let glue = if words.contains(' ') { "\nafter" } else { " in" };
    let head = format!("{words}{glue} {}", seconds(report.elapsed_s));
    if report.queues.is_empty() {
        return head;
    }
    let acked = report.queues.values().map(|queue| queue.acked).sum();
    let mut parts =
        vec![format!("{} through {}", counted(acked, "item"), counted(report.queues.len() as u64, "queue"))];
    let left = report.queues.iter().map(|(name, queue)| (name, queue.left));
    parts.push(
        spread(left).map_or("nothing left".to_owned(), |(sum, names)| format!("{} left ({names})", grouped(sum))),
    );
    let kept = report.queues.iter().map(|(name, queue)| (name, queue.kept));
    if let Some((sum, names)) = spread(kept) {
        parts.push(format!("{} kept ({names})", counted(sum, "dead letter")));
    }
    parts.push(match report.lost {
        0 if report.put_aside.is_empty() => "nothing lost".to_owned(),
        0 => "nothing lost in this run".to_owned(),
        lost if lost > 0 => format!("{} LOST: this is a bug of brigade", grouped(lost.unsigned_abs())),
        more => format!("{} more than were sent: this is a bug of brigade", grouped(more.unsigned_abs())),
    });
    let aside =
        report.put_aside.iter().map(|words| format!("\nput aside in an earlier run: {}", Cell::new(words).into_text()));
    format!("{head}: {}{}", parts.join(", "), aside.collect::<String>())
}

/// The sum, and where it is: `paths 3, sums 4`. `None` if the sum is 0.
fn spread<'a>(numbers: impl Iterator<Item = (&'a String, u64)>) -> Option<(u64, String)> {
    let some: Vec<_> = numbers.filter(|(_, number)| *number > 0).collect();
    let names: Vec<_> = some.iter().map(|(name, number)| format!("{name} {}", grouped(*number))).collect();
    (!some.is_empty()).then(|| (some.iter().map(|(_, number)| number).sum(), names.join(", ")))
}

/// Writes the report as JSON. A reader of `path` sees what was there before, or all of it; if the process dies here, a
/// file `path` with `.tmp` and its process's number behind may stay. What is no regular file (such as `/dev/stdout`, or
/// a named pipe) is written to as it is.
///
/// # Errors
/// When the file cannot be written.
pub fn write(report: &Report, path: &Path) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(report)?;
    text.push(b'\n');
    // A rename would replace a symbolic link, and a device, instead of writing to what is behind.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        return File::options().write(true).open(path)?.write_all(&text);
    }
    let mut temporary = path.clone().into_os_string();
    temporary.push(format!(".tmp{}", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let written = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&temporary, &path)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::status::{QueueReport, StageReport};

    fn report() -> Report {
        let queue = QueueReport { sent: 20_000, acked: 20_000, redelivered: 3, left: 0, dead: 0, kept: 0 };
        let stage = |restarts| StageReport { processed: 20_000, restarts };
        Report {
            pipeline: "checksum".to_owned(),
            verdict: "complete".to_owned(),
            exit_code: 0,
            elapsed_s: 12.34,
            stages: BTreeMap::from([("hash".to_owned(), stage(2)), ("walk".to_owned(), stage(0))]),
            queues: BTreeMap::from([("paths".to_owned(), queue.clone()), ("sums".to_owned(), queue)]),
            lost: 0,
            standstill: None,
            put_aside: Vec::new(),
        }
    }

    #[test]
    fn what_an_earlier_run_has_lost_is_said_beside_the_numbers_of_this_one() {
        let mut report = report();
        report.put_aside = vec!["queue raw is kept as x".to_owned()];
        assert_eq!(
            verdict(&report),
            "complete in 12.3 s: 40,000 items through 2 queues, nothing left, nothing lost in this run\n\
             put aside in an earlier run: queue raw is kept as x"
        );
    }

    #[test]
    fn the_table_has_every_number_under_its_name() {
        let expected = "\
stage  processed  restarts
hash      20,000         2
walk      20,000         0

queue    sent   acked  redelivered  left  dead
paths  20,000  20,000            3     0     0
sums   20,000  20,000            3     0     0

complete in 12.3 s: 40,000 items through 2 queues, nothing left, nothing lost
";
        assert_eq!(table(&report()), expected);
    }

    #[test]
    fn the_verdict_names_where_items_are() {
        let mut report = report();
        report.verdict = "hash/0 can never work: no such file".to_owned();
        for (name, left, dead) in [("paths", 1_200, 1), ("sums", 34, 0)] {
            let queue = report.queues.get_mut(name).expect("it is there");
            (queue.left, queue.dead, queue.kept) = (left, dead + 1, dead);
        }
        assert_eq!(
            verdict(&report),
            "hash/0 can never work: no such file\nafter 12.3 s: 40,000 items through 2 queues, 1,234 left (paths 1,200, sums 34), \
             1 dead letter kept (paths 1), nothing lost"
        );
        report.lost = 2;
        assert!(verdict(&report).ends_with("2 LOST: this is a bug of brigade"));
        report.queues.clear();
        assert_eq!(verdict(&report), "hash/0 can never work: no such file\nafter 12.3 s");
    }

    #[test]
    fn the_json_has_the_fields_that_scripts_rely_on() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("report.json");
        std::fs::write(&path, "of the last run").expect("written");
        write(&report(), &path).expect("written");
        let text = std::fs::read_to_string(&path).expect("read");
        let expected = serde_json::json!({
            "pipeline": "checksum", "verdict": "complete", "exit_code": 0, "elapsed_s": 12.34,
            "stages": {
                "hash": {"processed": 20_000, "restarts": 2},
                "walk": {"processed": 20_000, "restarts": 0},
            },
            "queues": {
                "paths": {"sent": 20_000, "acked": 20_000, "redelivered": 3, "left": 0, "dead": 0, "kept": 0},
                "sums": {"sent": 20_000, "acked": 20_000, "redelivered": 3, "left": 0, "dead": 0, "kept": 0},
            },
            "lost": 0,
        });
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("it is JSON"), expected);
        assert_eq!(std::fs::read_dir(folder.path()).expect("read").count(), 1);
    }

    #[test]
    fn a_report_that_cannot_be_written_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        write(&report(), &folder.path().join("not there/report.json")).expect_err("no such folder");
        assert_eq!(std::fs::read_dir(folder.path()).expect("read").count(), 0);
        write(&report(), Path::new("/dev/null")).expect("a device is written to");
        assert!(!Path::new("/dev/null").metadata().expect("there").is_file());
    }
}
