//! Stories of workers that wait for each other.

use super::super::standstill::{Look, QueueSeen, ThreadSeen, Wait};
use super::*;

/// What is seen in a story, changed line by line.
#[derive(Clone, Default)]
struct Scene {
    look: Look,
}

impl Scene {
    fn waits(mut self, story: &Story, name: &str, wait: Wait) -> Self {
        self.look.threads.insert(at(story, name), seen(story, name, Some(wait)));
        self
    }

    fn works(mut self, story: &Story, name: &str) -> Self {
        self.look.threads.insert(at(story, name), seen(story, name, None));
        self
    }

    fn queue(mut self, story: &Story, name: &str, change: impl FnOnce(&mut QueueSeen)) -> Self {
        change(self.look.queues.entry(queue(story, name)).or_default());
        self
    }

    fn tell(&self, story: &mut Story) {
        story.tell(Event::Looked(Box::new(self.look.clone())));
        story.seconds(5);
    }
}

fn at(story: &Story, name: &str) -> (Post, u16) {
    (story.who(name).post, 0)
}

fn seen(story: &Story, name: &str, wait: Option<Wait>) -> ThreadSeen {
    ThreadSeen { incarnation: story.who(name).incarnation, wait, stamp: (1, 1) }
}

fn queue(story: &Story, name: &str) -> usize {
    story.core.plan().queues.iter().position(|queue| queue.name == name).expect("the story knows this queue")
}

fn room(story: &Story, name: &str) -> Wait {
    Wait::Room(queue(story, name), 1)
}

fn item(story: &Story, name: &str) -> Wait {
    Wait::Item(vec![queue(story, name)])
}

/// split → left → join, split → pairs → thin → right → join, join → out → report
fn zip() -> Story {
    let plan = pipeline()
        .stage("split", &[], &["left", "pairs"])
        .stage("thin", &["pairs"], &["right"])
        .stage("join", &["left", "right"], &["out"])
        .stage("report", &["out"], &[]);
    Story::running(plan)
}

/// The branch `thin` has filtered what `join` waits for, and `left` is full.
fn stuck_zip(story: &Story) -> Scene {
    Scene::default()
        .waits(story, "split/0", room(story, "left"))
        .waits(story, "thin/0", item(story, "pairs"))
        .waits(story, "join/0", item(story, "right"))
        .waits(story, "report/0", item(story, "out"))
        .queue(story, "left", |left| (left.ready, left.leased) = (1023, 1))
        .queue(story, "pairs", |pairs| pairs.room = 1024)
        .queue(story, "right", |right| right.room = 1024)
        .queue(story, "out", |out| out.room = 1024)
}

const ZIP: &str = "standstill: split/0 waits for room in queue left, thin/0 waits for an item of queue pairs, \
                   join/0 waits for an item of queue right";

#[test]
fn a_zip_of_which_one_branch_filters_is_named_at_the_second_look_and_once() {
    let mut story = zip();
    let scene = stuck_zip(&story);
    scene.tell(&mut story);
    story.expect(&[]);
    scene.tell(&mut story);
    story.expect(&[ZIP]);
    assert_eq!(story.core.standstill(), ZIP.strip_prefix("standstill: "));
    scene.tell(&mut story);
    story.expect(&[]);
    let moved = scene.queue(&story, "right", |right| right.totals.0 += 1);
    moved.tell(&mut story);
    story.expect(&["standstill over"]);
    assert_eq!(story.core.standstill(), None);
}

#[test]
fn nothing_is_concluded_while_anything_could_help() {
    type Change = fn(&Story, Scene) -> Scene;
    let helps: [(&str, Change); 6] = [
        ("a worker is at work", |story, scene| scene.works(story, "thin/0")),
        ("an item waits for its retry", |story, scene| scene.queue(story, "pairs", |pairs| pairs.delayed = 1)),
        ("an item is ready", |story, scene| scene.queue(story, "right", |right| right.ready = 1)),
        ("a dead letter makes room", |story, scene| scene.queue(story, "left", |left| left.dead = 1)),
        ("there is room", |story, scene| scene.queue(story, "left", |left| left.room = 1)),
        ("one is not seen", |story, mut scene| {
            scene.look.threads.remove(&at(story, "thin/0"));
            scene
        }),
    ];
    for (what, change) in helps {
        let mut story = zip();
        let scene = change(&story, stuck_zip(&story));
        (0..3).for_each(|_| scene.tell(&mut story));
        assert!(story.unread.is_empty(), "{what}: {:?}", story.unread);
    }
    // A look at which anything had moved.
    let moves: [(&str, Change); 3] = [
        ("an item was acked", |story, scene| scene.queue(story, "left", |left| left.totals.1 += 1)),
        ("an item was taken", |story, scene| scene.queue(story, "left", |left| left.leased += 1)),
        ("a thread waits again", |story, mut scene| {
            scene.look.threads.get_mut(&at(story, "join/0")).expect("it is seen").stamp.0 += 1;
            scene
        }),
    ];
    for (what, change) in moves {
        let mut story = zip();
        let mut scene = stuck_zip(&story);
        for _ in 0..4 {
            scene.tell(&mut story);
            scene = change(&story, scene);
        }
        assert!(story.unread.is_empty(), "{what}: {:?}", story.unread);
    }
}

#[test]
fn a_worker_that_is_stopped_by_a_signal_or_starts_again_is_no_part_of_a_standstill() {
    let mut story = zip();
    let scene = stuck_zip(&story);
    story.paused("thin/0");
    (0..3).for_each(|_| scene.tell(&mut story));
    story.expect(&[]);
    story.resumed("thin/0");
    scene.tell(&mut story);
    story.expect(&[ZIP]);
    story.exits("thin/0", CRASH);
    scene.tell(&mut story);
    story.expect(&["sweep thin/0 #1", "standstill over", "spawn thin/0 #2"]);
}

#[test]
fn a_circle_of_full_queues_is_named_and_those_before_it_are_not() {
    let plan =
        pipeline().stage("feed", &[], &["in"]).stage("work", &["in", "again"], &["again"]).times(2).circle(&["work"]);
    let mut story = Story::running(plan);
    let any = Wait::Item(vec![queue(&story, "in"), queue(&story, "again")]);
    let scene = Scene::default()
        .waits(&story, "feed/0", room(&story, "in"))
        .waits(&story, "work/0", Wait::Room(queue(&story, "again"), 64))
        .waits(&story, "work/1", Wait::Room(queue(&story, "again"), 64))
        .queue(&story, "in", |seen| (seen.ready, seen.leased) = (1022, 2))
        .queue(&story, "again", |seen| (seen.room, seen.ready) = (63, 961));
    scene.tell(&mut story);
    // A commit that finds no room claims slots and gives them back.
    scene.clone().queue(&story, "again", |seen| seen.room = 5).tell(&mut story);
    story.expect(&["standstill: 2 workers of work wait for room for 64 items in queue again"]);
    let idle = scene.waits(&story, "work/1", any);
    (0..2).for_each(|_| idle.tell(&mut story));
    story.expect(&["standstill over"]);
}

#[test]
fn a_worker_that_holds_all_that_is_left_of_a_closed_queue_is_named() {
    let mut story = Story::running(pipeline().stage("emit", &[], &["in"]).stage("collect", &["in"], &[]));
    story.exits("emit/0", OK);
    story.unread.clear();
    let scene = Scene::default()
        .waits(&story, "collect/0", item(&story, "in"))
        .queue(&story, "in", |seen| (seen.room, seen.leased) = (1022, 2));
    (0..2).for_each(|_| scene.tell(&mut story));
    story.expect(&["standstill: collect/0 waits for an item of queue in (2 items of it are in workers' hands)"]);
}

#[test]
fn workers_that_wait_for_what_comes_from_outside_are_idle_and_not_stuck() {
    let mut story = zip();
    let scene = stuck_zip(&story).works(&story, "split/0").queue(&story, "left", |left| *left = QueueSeen::default());
    (0..3).for_each(|_| scene.tell(&mut story));
    story.expect(&[]);
    let circle = pipeline().stage("ping", &["a"], &["b"]).stage("pong", &["b"], &["a"]).circle(&["ping", "pong"]);
    let mut story = Story::running(circle);
    let scene = Scene::default()
        .waits(&story, "ping/0", item(&story, "a"))
        .waits(&story, "pong/0", item(&story, "b"))
        .queue(&story, "a", |_| {})
        .queue(&story, "b", |_| {});
    story.unread.clear();
    (0..3).for_each(|_| scene.tell(&mut story));
    story.expect(&[]);
}

#[test]
fn a_standstill_ends_the_run_if_the_file_says_so_and_items_stay() {
    let mut story = zip();
    let mut plan = story.core.plan().as_ref().clone();
    plan.on_standstill = OnStandstill::End;
    story.core = Core::new(plan, 7);
    story.tell(Event::Begin);
    story.everybody_comes_up();
    story.unread.clear();
    let scene = stuck_zip(&story);
    (0..2).for_each(|_| scene.tell(&mut story));
    let stops = ["stop split/0 #1 now", "stop thin/0 #1 now", "stop join/0 #1 now", "stop report/0 #1 now"];
    story.expect(&[&[ZIP, "level now by Core"], &stops[..]].concat());
    assert!(story.core.standstill().is_some(), "it is part of the report");
    story.all_exit(&["split/0", "thin/0", "join/0"], OK);
    story.unread.clear();
    story.exits("report/0", OK);
    let words = ZIP.strip_prefix("standstill: ").expect("it begins so");
    story.expect(&["sweep report/0 #1", &format!("finish Standstill {{ words: {words:?} }}")]);
}

#[test]
fn a_drain_that_stands_still_is_named_too() {
    let mut story = zip();
    story.signal();
    story.exits("split/0", OK);
    story.exits("thin/0", OK);
    story.unread.clear();
    let held = Scene::default()
        .waits(&story, "join/0", item(&story, "left"))
        .waits(&story, "report/0", item(&story, "out"))
        .queue(&story, "left", |left| left.leased = 3)
        .queue(&story, "out", |_| {});
    (0..2).for_each(|_| held.tell(&mut story));
    story.expect(&["standstill: join/0 waits for an item of queue left (3 items of it are in workers' hands)"]);
}
