//! Stories of starting: order, readiness, and starts that come to nothing.

use super::*;

#[test]
fn consumers_start_before_producers_and_a_stage_waits_for_all_workers_of_those_it_feeds() {
    let mut story = Story::of(line());
    story.tell(Event::Tick);
    story.expect(&[]);
    story.tell(Event::Begin);
    story.expect(&["spawn report/0 #1"]);
    story.spawned("report/0");
    story.expect(&[]);
    story.ready("report/0");
    story.expect(&["spawn hash/0 #1", "spawn hash/1 #1"]);
    story.up("hash/0");
    story.expect(&[]);
    story.up("hash/1");
    story.expect(&["spawn walk/0 #1"]);
    assert_eq!(story.state("walk/0"), State::Starting);
}

#[test]
fn a_worker_that_dies_again_and_again_does_not_keep_the_stages_before_it_from_starting() {
    let mut story = Story::of(line());
    story.tell(Event::Begin);
    story.up("report/0");
    story.up("hash/0");
    story.exits("hash/0", KILLED);
    story.up("hash/1");
    assert_eq!((story.state("hash/0"), story.state("walk/0")), (State::Backoff, State::Starting));
}

#[test]
fn services_start_first() {
    let plan = line().stage("cache", &[], &[]).with(|stage| stage.restart = RestartPolicy::Permanent);
    let mut story = Story::of(plan);
    story.tell(Event::Begin);
    story.expect(&["spawn cache/0 #1"]);
    story.spawned("cache/0");
    story.wait(999);
    story.expect(&[]);
    story.wait(1);
    story.expect(&["spawn report/0 #1"]);
}

#[test]
fn posts_are_numbered_by_stage_and_replica_and_the_last_is_the_managers() {
    let story = Story::of(line());
    let names: Vec<_> = story.core.workers().map(|worker| (worker.post.0, worker.name.as_str())).collect();
    assert_eq!(names, [(1, "walk/0"), (2, "hash/0"), (3, "hash/1"), (4, "report/0")]);
    assert_eq!(story.core.post_of(1, 1), Some(Post(3)));
    assert_eq!(story.core.post_of(1, 2), None);
    assert_eq!(story.core.post_of(9, 0), None);
    assert_eq!(story.core.manager_post(), Post(5));
}

#[test]
fn a_plain_program_is_ready_after_its_minimal_uptime() {
    let mut story = Story::of(pipeline().stage("task", &[], &[]));
    story.tell(Event::Begin);
    story.spawned("task/0");
    story.wait(999);
    assert_eq!(story.state("task/0"), State::Starting);
    story.wait(1);
    assert_eq!(story.state("task/0"), State::Ready);
}

#[test]
fn a_plain_program_that_said_hello_is_ready_when_it_says_so() {
    let mut story = Story::of(pipeline().stage("task", &[], &[]));
    story.tell(Event::Begin);
    story.spawned("task/0");
    let (post, incarnation) = story.id("task/0");
    story.tell(Event::Hello { post, incarnation });
    story.seconds(29);
    assert_eq!(story.state("task/0"), State::Starting);
    story.ready("task/0");
    assert_eq!(story.state("task/0"), State::Ready);
    story.seconds(100);
    assert_eq!(story.state("task/0"), State::Ready);
}

#[test]
fn a_worker_that_is_not_ready_in_time_is_killed_and_that_counts_as_a_crash() {
    let mut story = Story::of(pipeline().stage("make", &[], &["q"]).stage("take", &["q"], &[]));
    story.tell(Event::Begin);
    story.spawned("take/0");
    story.expect(&["spawn take/0 #1"]);
    story.seconds(29);
    story.expect(&[]);
    story.seconds(1);
    story.expect(&["kill take/0 #1: not ready within 30s: it has not said hello to the supervisor"]);
    story.seconds(600);
    story.expect(&[]);
    story.exits("take/0", KILLED);
    story.expect(&["sweep take/0 #1"]);
    assert_eq!(story.state("take/0"), State::Backoff);
    assert_eq!(
        story.who("take/0").last_words.as_deref(),
        Some("not ready within 30s: it has not said hello to the supervisor")
    );
    story.wait(120);
    story.expect(&["spawn take/0 #2"]);
}

#[test]
fn ready_and_its_timeout_at_the_same_instant_are_ready() {
    let mut story = Story::of(pipeline().stage("make", &[], &["q"]).stage("take", &["q"], &[]));
    story.tell(Event::Begin);
    story.spawned("take/0");
    story.now += Duration::from_secs(30);
    story.ready("take/0");
    story.expect(&["spawn take/0 #1", "spawn make/0 #1"]);
}

#[test]
fn an_exit_and_its_timeout_at_the_same_instant_are_an_exit() {
    let mut story = Story::of(pipeline().stage("make", &[], &["q"]).stage("take", &["q"], &[]));
    story.tell(Event::Begin);
    story.spawned("take/0");
    story.now += Duration::from_secs(30);
    story.exits("take/0", CRASH);
    story.expect(&["spawn take/0 #1", "sweep take/0 #1"]);
}

#[test]
fn a_spawn_that_fails_for_now_is_tried_again_without_a_sweep() {
    let mut story = Story::of(pipeline().stage("task", &[], &[]));
    story.tell(Event::Begin);
    story.spawn_fails("task/0", "out of memory", false);
    story.expect(&["spawn task/0 #1"]);
    assert_eq!(story.state("task/0"), State::Backoff);
    story.wait(120);
    story.expect(&["spawn task/0 #2"]);
    assert_eq!(story.who("task/0").restarts, 1);
}

#[test]
fn a_program_that_cannot_be_run_ends_the_pipeline_at_once() {
    let mut story = Story::of(line());
    story.tell(Event::Begin);
    story.spawn_fails("report/0", "no such file", true);
    story.expect(&[
        "spawn report/0 #1",
        "level now by Core",
        "finish Hopeless { worker: \"report/0\", words: \"no such file\" }",
    ]);
    assert_eq!(story.state("report/0"), State::Failed);
    assert_eq!(story.state("walk/0"), State::Exited);
}

#[test]
fn exit_codes_that_no_restart_can_mend_end_the_pipeline_at_once() {
    for code in [78, 126, 127] {
        let mut story = Story::running(line());
        story.exits("hash/0", Exit::Code(code));
        story.expect(&[
            "sweep hash/0 #1",
            "level now by Core",
            "stop walk/0 #1 now",
            "stop hash/1 #1 now",
            "stop report/0 #1 now",
        ]);
        story.all_exit(&["walk/0", "hash/1", "report/0"], OK);
        let words = format!("finish Hopeless {{ worker: \"hash/0\", words: \"{}\" }}", Exit::Code(code));
        story.expect(&["sweep walk/0 #1", "sweep hash/1 #1", "sweep report/0 #1", &words]);
    }
}

#[test]
fn a_worker_that_says_it_never_can_work_ends_the_pipeline_before_it_has_exited() {
    let mut story = Story::running(pipeline().stage("make", &[], &["q"]).stage("take", &["q"], &[]));
    story.says_failed("take/0", "no such column", true);
    story.expect(&["level now by Core", "stop make/0 #1 now", "stop take/0 #1 now"]);
    story.exits("make/0", OK);
    story.exits("take/0", CRASH);
    assert_eq!(story.state("take/0"), State::Failed);
    story.expect(&[
        "sweep make/0 #1",
        "sweep take/0 #1",
        "finish Hopeless { worker: \"take/0\", words: \"no such column\" }",
    ]);
}

#[test]
fn a_worker_that_says_it_cannot_work_now_is_killed_if_it_stays_and_restarted() {
    let mut story = Story::running(line());
    story.says_failed("hash/0", "no connection", false);
    story.expect(&[]);
    story.seconds(10);
    story.expect(&["kill hash/0 #1: still there 10s after it said that it cannot work"]);
    story.exits("hash/0", KILLED);
    assert_eq!(story.who("hash/0").last_words.as_deref(), Some("no connection"));
    story.wait(120);
    story.expect(&["sweep hash/0 #1", "spawn hash/0 #2"]);
}

#[test]
fn exit_code_0_after_saying_that_it_cannot_work_is_a_crash() {
    let mut story = Story::running(line());
    story.says_failed("walk/0", "no connection", false);
    story.exits("walk/0", OK);
    assert_eq!(story.state("walk/0"), State::Backoff);
}

#[test]
fn every_change_of_state_says_why_and_by_whom() {
    let mut story = Story::running(line());
    story.exits("hash/1", Exit::Signal { signal: 11, core: true });
    let Some(Action::Changed { from, to, cause, actor, .. }) = story.unread.get(1) else {
        panic!("a change follows the sweep: {:?}", story.unread)
    };
    assert_eq!((*from, *to, *actor), (State::Ready, State::Backoff, Actor::Core));
    assert!(cause.starts_with("killed by SIGSEGV (core dumped); next start in "), "{cause}");
}

#[test]
fn a_plain_process_that_is_to_say_when_it_is_ready_is_not_believed_by_its_age() {
    let db = pipeline().stage("db", &[], &[]).with(|db| db.ready = Readiness::Fd);
    let mut story = Story::of(db.stage("web", &[], &[]).needs(&["db"]));
    story.tell(Event::Begin);
    story.spawned("db/0");
    story.seconds(29);
    assert_eq!((story.state("db/0"), story.state("web/0")), (State::Starting, State::Pending));
    story.ready("db/0");
    assert_eq!((story.state("db/0"), story.state("web/0")), (State::Ready, State::Starting));
    story.unread.clear();
    story.exits("db/0", CRASH);
    story.comes_back("db/0");
    story.exits("db/0", CRASH);
    story.wait(1000);
    story.spawned("db/0");
    story.unread.clear();
    story.seconds(30);
    story.expect(&["kill db/0 #3: not ready within 30s"]);
}
