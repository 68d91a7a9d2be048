//! Workers that live and do nothing.

use super::*;

const WORDS: &str = "made no progress for 30s on item 7 of queue paths";
const ABORTED: Exit = Exit::Signal { signal: 6, core: true };

fn hangs(story: &mut Story, name: &str) {
    let (post, incarnation) = story.id(name);
    story.tell(Event::Hung { post, incarnation, words: WORDS.into() });
}

#[test]
fn a_worker_that_hangs_is_aborted_and_its_exit_says_why() {
    let mut story = Story::running(line());
    hangs(&mut story, "hash/0");
    hangs(&mut story, "hash/0");
    story.expect(&[&format!("abort hash/0 #1: {WORDS}: aborted")]);
    assert_eq!(story.state("hash/0"), State::Stopping);
    story.exits("hash/0", ABORTED);
    story.expect(&["sweep hash/0 #1"]);
    let words = format!("killed by SIGABRT (core dumped): {WORDS}: aborted");
    assert_eq!(story.who("hash/0").last_end.as_ref(), Some(&words));
    assert_eq!(story.state("hash/0"), State::Backoff);
    story.comes_back("hash/0");
    assert_eq!((story.state("hash/0"), story.who("hash/0").restarts), (State::Ready, 1));
}

#[test]
fn one_that_is_still_there_after_its_abort_is_killed() {
    let mut story = Story::running(line());
    hangs(&mut story, "hash/0");
    story.unread.clear();
    story.wait(1999);
    story.expect(&[]);
    story.wait(1);
    story.expect(&["kill hash/0 #1: still there 2s after SIGABRT"]);
    story.exits("hash/0", KILLED);
    let end = story.who("hash/0").last_end.clone().expect("it has ended");
    assert_eq!(end, format!("killed by SIGKILL: {WORDS}: aborted"));
}

#[test]
fn to_hang_is_a_crash_however_the_process_ends() {
    for exit in [OK, ABORTED] {
        let mut story = Story::running(line().with(|report| {
            report.exits.success.insert(ExitCode::Signal(6));
            report.max_restarts = Some(1);
        }));
        for run in ["first", "second"] {
            hangs(&mut story, "report/0");
            story.exits("report/0", exit);
            if run == "first" {
                story.comes_back("report/0");
            }
        }
        assert_eq!((story.state("report/0"), story.core.level()), (State::Failed, Some(StopLevel::Now)), "{exit}");
    }
}

#[test]
fn one_that_cannot_work_or_is_to_stop_is_not_blamed() {
    let paused: fn(&mut Story) = |story| story.paused("hash/0");
    let stopped: fn(&mut Story) = |story| story.tell(Event::StopAt(StopLevel::Now, TERM));
    let failing: fn(&mut Story) = |story| story.says_failed("hash/0", "no connection", false);
    for before in [paused, stopped, failing] {
        let mut story = Story::running(line());
        before(&mut story);
        story.unread.clear();
        hangs(&mut story, "hash/0");
        story.expect(&[]);
    }
}

#[test]
fn one_that_hangs_while_it_is_to_be_replaced_has_crashed() {
    let mut story = Story::running(line());
    let (post, incarnation) = story.id("hash/0");
    story.tell(Event::Replace { post, incarnation, words: "it has grown".into() });
    story.unread.clear();
    hangs(&mut story, "hash/0");
    story.expect(&[&format!("abort hash/0 #1: {WORDS}: aborted")]);
    story.exits("hash/0", ABORTED);
    assert_eq!(story.state("hash/0"), State::Backoff);
}

#[test]
fn a_stop_that_comes_after_the_abort_does_not_lengthen_it() {
    let mut story = Story::running(line());
    hangs(&mut story, "hash/0");
    story.tell(Event::StopAt(StopLevel::Now, TERM));
    story.unread.clear();
    story.wait(2000);
    story.expect(&["kill hash/0 #1: still there 2s after SIGABRT"]);
    story.exits("hash/0", KILLED);
    assert_eq!(story.state("hash/0"), State::Exited);
}
