//! What the live view draws: a pipeline as lines that fit a terminal. Pure, so that it can be tested without one.

use super::rate::Rates;
use crate::figures::{bar, counted, grouped, rate, seconds};
use crate::status::{QueueStatus, StageStatus, Status};
use crate::table::{Cell, Side, Table, Tint, cut};

/// Characters of a queue's bar, on a wide and on a narrow terminal.
const BAR: (usize, usize) = (24, 8);
/// Below this a terminal is narrow.
const NARROW: usize = 80;

/// What the lines must fit into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Characters.
    pub columns: usize,
    /// Lines.
    pub rows: usize,
}

/// The lines: heading, stages, queues, and what Ctrl-C does now. One column and one row of the terminal stay free.
pub fn lines(status: &Status, rates: &Rates, size: Size, colour: bool) -> Vec<String> {
    let columns = size.columns.saturating_sub(1);
    // Heading, hint, two table heads, and one row that stays free.
    let rows = size.rows.saturating_sub(5 + usize::from(status.standstill.is_some()));
    let (shown_stages, shown_queues) = share(rows, status.stages.len(), status.queues.len());
    let stages = chosen(&status.stages, shown_stages, is_notable);
    let queues = chosen(&status.queues, shown_queues, |queue| depth(queue) > 0);

    let mut stage_table = stage_table(&stages, rates);
    let mut queue_table = queue_table(&queues, rates, if columns < NARROW { BAR.1 } else { BAR.0 });
    let first = stage_table.first_width().max(queue_table.first_width());
    stage_table.widen_first(first);
    queue_table.widen_first(first);

    let heading = format!("{}: {} for {}", status.pipeline, status.state, seconds(status.elapsed_s));
    let mut lines = vec![Tint::Bold.paint(&cut(&Cell::new(heading).into_text(), columns), colour)];
    if let Some(words) = &status.standstill {
        let words = Cell::new(format!("standstill: {words}")).into_text();
        lines.push(Tint::Bad.paint(&cut(&words, columns), colour));
    }
    if !stages.is_empty() {
        lines.extend(stage_table.lines(colour, columns));
    }
    let dim = |text: &str| Tint::Dim.paint(&cut(text, columns), colour);
    if stages.len() < status.stages.len() {
        lines.push(dim(&other_stages(&status.stages, stages.len(), &stages)));
    }
    if !queues.is_empty() {
        lines.extend(queue_table.lines(colour, columns));
    }
    if queues.len() < status.queues.len() {
        let more = (status.queues.len() - queues.len()) as u64;
        lines.push(dim(&format!("… and {}", counted(more, "other queue"))));
    }
    lines.push(dim(hint(&status.state)));
    lines.truncate(size.rows.saturating_sub(1).max(1));
    lines
}

/// What the next Ctrl-C does, by the pipeline's state.
pub fn hint(state: &str) -> &'static str {
    match state {
        "draining" => "draining · Ctrl-C stops now and leaves the rest in the queues; again kills",
        "stopping" => "stopping · Ctrl-C kills every worker; what is left stays in the queues",
        _ => "Ctrl-C drains the queues and ends; again stops now; a third time kills",
    }
}

fn stage_table(stages: &[&StageStatus], rates: &Rates) -> Table {
    let mut table = Table::new(&[
        ("stage", Side::Left),
        ("state", Side::Left),
        ("workers", Side::Left),
        ("processed", Side::Right),
        ("items/s", Side::Right),
        ("restarts", Side::Right),
    ]);
    for stage in stages {
        let processed = stage.workers.iter().map(|worker| worker.processed).sum();
        let restarts = stage.workers.iter().map(|worker| worker.restarts).sum();
        table.row([
            Cell::new(&stage.name),
            Cell::new(&stage.state).tint(Tint::of_state(&stage.state)),
            workers(stage),
            Cell::new(grouped(processed)),
            Cell::new(rate(rates.of_stage(&stage.name))),
            Cell::new(grouped(restarts)).tint_if(restarts > 0, Tint::Warn),
        ]);
    }
    table
}

/// How many of its workers are in the commonest state that matters: `4/4 ready`, `2/4 ready, 1 backoff, 1 paused`.
fn workers(stage: &StageStatus) -> Cell {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for worker in &stage.workers {
        match counts.iter_mut().find(|(state, _)| *state == worker.state) {
            Some((_, count)) => *count += 1,
            None => counts.push((&worker.state, 1)),
        }
    }
    let at_work = counts.iter().position(|(state, _)| *state == "ready").unwrap_or(0);
    if at_work < counts.len() {
        counts.swap(0, at_work);
    }
    let mut parts = Vec::new();
    for (ix, (state, count)) in counts.iter().enumerate() {
        parts.push(if ix == 0 {
            format!("{count}/{} {state}", stage.workers.len())
        } else {
            format!("{count} {state}")
        });
    }
    let troubled = counts.iter().any(|(state, _)| matches!(*state, "backoff" | "failed" | "paused"));
    Cell::new(parts.join(", ")).tint_if(troubled, Tint::Warn)
}

fn queue_table(queues: &[&QueueStatus], rates: &Rates, width: usize) -> Table {
    let mut table = Table::new(&[
        ("queue", Side::Left),
        ("", Side::Left),
        ("depth", Side::Right),
        ("items/s out", Side::Right),
        ("redelivered", Side::Right),
        ("dead", Side::Right),
    ]);
    for queue in queues {
        let bar = bar(queue.waiting(), queue.leased.saturating_add(queue.staged), queue.capacity, width);
        table.row([
            Cell::new(&queue.name),
            Cell::new(bar).tint_if(depth(queue) >= queue.capacity, Tint::Warn),
            Cell::new(format!("{}/{}", grouped(depth(queue)), grouped(queue.capacity))),
            Cell::new(rate(rates.of_queue(&queue.name))),
            Cell::new(grouped(queue.redelivered)).tint_if(queue.redelivered > 0, Tint::Warn),
            Cell::new(grouped(queue.dead)).tint_if(queue.dead > 0, Tint::Bad),
        ]);
    }
    table
}

/// Items that are not free.
fn depth(queue: &QueueStatus) -> u64 {
    queue.waiting().saturating_add(queue.leased).saturating_add(queue.staged)
}

/// How many rows stages and queues get of `rows`: each what it needs, as long as the other has half. Where something is
/// left out, one row of the share is for the line that says so.
fn share(rows: usize, stages: usize, queues: usize) -> (usize, usize) {
    if stages + queues <= rows {
        return (stages, queues);
    }
    let queue_rows = queues.min((rows / 2).max(rows.saturating_sub(stages)));
    let fit = |room: usize, count: usize| if count <= room { count } else { room.saturating_sub(1) };
    (fit(rows - queue_rows, stages), fit(queue_rows, queues))
}

/// The notable ones first, then the first others, all in their own order.
fn chosen<T>(all: &[T], count: usize, notable: impl Fn(&T) -> bool) -> Vec<&T> {
    let mut places: Vec<usize> = (0..all.len()).collect();
    places.sort_by_key(|&place| !notable(&all[place]));
    places.truncate(count);
    places.sort_unstable();
    places.into_iter().map(|place| &all[place]).collect()
}

/// Whether people want to see it first.
fn is_notable(stage: &StageStatus) -> bool {
    let quiet = |state: &str| matches!(state, "ready" | "complete" | "stopped" | "exited" | "pending");
    !quiet(&stage.state) || stage.workers.iter().any(|worker| !quiet(&worker.state))
}

/// `… and 12 other stages: 10 ready, 2 complete`.
fn other_stages(all: &[StageStatus], shown: usize, chosen: &[&StageStatus]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for stage in all.iter().filter(|stage| !chosen.iter().any(|shown| std::ptr::eq(*shown, *stage))) {
        match counts.iter_mut().find(|(state, _)| *state == stage.state) {
            Some((_, count)) => *count += 1,
            None => counts.push((&stage.state, 1)),
        }
    }
    let states: Vec<_> = counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
    format!("… and {}: {}", counted((all.len() - shown) as u64, "other stage"), states.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::width;
    use crate::view::sample::{running, stage, worker};

    fn picture(status: &Status, columns: usize, rows: usize) -> Vec<String> {
        lines(status, &Rates::default(), Size { columns, rows }, false)
    }

    #[test]
    fn a_pipeline_at_work_is_drawn_line_by_line() {
        let expected = "\
checksum: running for 12.3 s
stage   state     workers                         processed  items/s  restarts
walk    complete  1/1 exited                         20,000        0         0
hash    ready     2/4 ready, 1 backoff, 1 paused     19,872        0         2
report  ready     1/1 ready                          19,870        0         0
queue                                 depth  items/s out  redelivered  dead
paths   ██▒·····················  129/1,024            0            3     2
sums    █▒······················    2/1,024            0            3     2
Ctrl-C drains the queues and ends; again stops now; a third time kills";
        assert_eq!(picture(&running(), 100, 30).join("\n"), expected);
    }

    #[test]
    fn it_fits_every_terminal() {
        let mut status = running();
        for number in 0..40 {
            let id = format!("s{number}/0");
            status.stages.push(stage(&format!("s{number}"), "ready", vec![worker(&id, Some(1), "ready", 1)]));
            status.queues.push(status.queues[0].clone());
        }
        for (columns, rows) in [(0, 0), (1, 1), (10, 3), (20, 5), (40, 8), (80, 24), (200, 60), (300, 200)] {
            let lines = picture(&status, columns, rows);
            assert!(lines.len() <= rows.saturating_sub(1).max(1), "{columns}x{rows}: {lines:#?}");
            assert!(lines.iter().all(|line| width(line) < columns.max(1)), "{columns}x{rows}: {lines:#?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_counted_and_trouble_is_always_shown() {
        let mut status = running();
        let many =
            (0..20).map(|number| stage(&format!("s{number}"), "ready", vec![worker("x/0", Some(1), "ready", 1)]));
        status.stages.splice(1..1, many);
        let lines = picture(&status, 120, 12);
        assert!(lines.iter().any(|line| line.starts_with("hash ")), "{lines:#?}");
        assert!(lines.iter().any(|line| line == "… and 19 other stages: 19 ready"), "{lines:#?}");
        assert!(lines.last().expect("some").starts_with("Ctrl-C drains"), "{lines:#?}");
    }

    #[test]
    fn the_hint_says_what_the_next_interrupt_does() {
        let starts = ["starting", "running", "draining", "stopping"].map(|state| &hint(state)[..20]);
        assert_eq!(
            starts,
            ["Ctrl-C drains the qu", "Ctrl-C drains the qu", "draining · Ctrl-C s", "stopping · Ctrl-C k"]
        );
    }
}
