//! Random stories: thousands of plans and worlds, plausible and mad events in any order, and what must hold in all of
//! them. Without them only the orders that somebody thought of would be tested.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::action::Verdict;
use super::super::backoff::Random;
use super::world::World;
use super::*;
use crate::config::plan::difference::Difference;

const STORIES: u64 = 3000;
const EVENTS: usize = 200;

/// Tells a story and checks it; a failure names the seed and tells the story.
fn each_story(tell: impl Fn(&mut World)) -> Vec<World> {
    (1..=STORIES)
        .map(|seed| {
            // Neighbouring seeds must not give neighbouring numbers.
            let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut world = World::new(plan(&mut Random::new(seed)), seed);
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| tell(&mut world))) {
                eprintln!("story {seed}:\n{}", world.log.join("\n"));
                std::panic::resume_unwind(panic);
            }
            world
        })
        .collect()
}

fn plan(random: &mut Random) -> Plan {
    let mut below = |n: u64| random.next() % n;
    let shape = match below(9) {
        0 | 1 => line(),
        2 => pipeline()
            .stage("seed", &[], &["seeds"])
            .stage("fetch", &["seeds", "links"], &["pages"])
            .stage("parse", &["pages"], &["links", "found"])
            .stage("keep", &["found"], &[])
            .circle(&["fetch", "parse"]),
        3 => pipeline().stage("make", &[], &["q"]).stage("split", &["q"], &["q"]).circle(&["split"]),
        4 => pipeline().stage("a", &[], &["q"]).stage("b", &[], &["q"]).stage("x", &["q"], &[]).stage("y", &["q"], &[]),
        5 => pipeline().stage("a", &[], &["p", "q"]).stage("x", &["p"], &["r"]).stage("y", &["q"], &["r"]).stage(
            "z",
            &["r"],
            &[],
        ),
        6 => line().stage("plain", &[], &[]).stage("beside", &[], &[]),
        7 => pipeline().stage("plain", &[], &[]).stage("beside", &[], &[]),
        _ => pipeline().stage("a", &[], &["p"]).stage("b", &["p"], &["q"]).stage("c", &["q"], &["r"]).stage(
            "d",
            &["r"],
            &[],
        ),
    };
    let mut plan = shape;
    plan.drain_timeout = Duration::from_secs([0, 5, 30][below(3) as usize]);
    plan.max_dead_letters = (below(3) == 0).then_some(3);
    for stage in &mut plan.stages {
        stage.replicas = 1 + below(3) as u16;
        stage.restart = match below(6) {
            0 => RestartPolicy::Permanent,
            1 => RestartPolicy::Temporary,
            _ => RestartPolicy::Transient,
        };
        stage.max_restarts = [None, None, Some(5), Some(20), Some(0)][below(5) as usize];
        stage.stop_timeout = Duration::from_secs([0, 1, 10, 10][below(4) as usize]);
        stage.give_up_after = Duration::from_secs([0, 0, 5][below(3) as usize]);
        stage.outage_timeout = Duration::from_secs([0, 60][below(2) as usize]);
        stage.start_timeout = Duration::from_secs([1, 5, 30, 30][below(4) as usize]);
        stage.backoff = Duration::from_millis([0, 100, 100][below(3) as usize]);
        stage.significant = stage.role() != Role::Service && below(12) == 0;
        if below(4) == 0 {
            stage.exits.success.extend([ExitCode::Code(3), ExitCode::Signal(9)]);
            stage.exits.fatal.extend((below(4) == 0).then_some(ExitCode::Code(2)));
        }
    }
    depend(&mut plan, &mut below);
    form_groups(&mut plan, &mut below);
    in_order(plan)
}

/// Some stages depend on others, where nobody comes to wait for itself by that.
fn depend(plan: &mut Plan, below: &mut impl FnMut(u64) -> u64) {
    for _ in 0..below(4) {
        let mut any = || below(plan.stages.len() as u64) as usize;
        let (stage, needed) = (any(), any());
        if stage != needed && !waits_for(plan, needed, stage, &mut BTreeSet::new()) {
            plan.stages[stage].depends_on.push(needed);
            plan.stages[stage].depends_on.dedup();
        }
    }
}

fn waits_for(plan: &Plan, stage: usize, other: usize, seen: &mut BTreeSet<usize>) -> bool {
    let fed = plan.stages[stage].outputs.iter().flat_map(|queue| &plan.queues[*queue].consumers);
    let mut next = fed.chain(&plan.stages[stage].depends_on);
    next.any(|next| *next == other || (seen.insert(*next) && waits_for(plan, *next, other, seen)))
}

/// Most stages are in one of two groups.
fn form_groups(plan: &mut Plan, below: &mut impl FnMut(u64) -> u64) {
    let mut members = [Vec::new(), Vec::new(), Vec::new()];
    for stage in 0..plan.stages.len() {
        let group = &mut members[below(3) as usize];
        group.insert(below(group.len() as u64 + 1) as usize, stage);
    }
    for stages in members.into_iter().take(2).filter(|stages| !stages.is_empty()) {
        plan.groups.push(Group {
            name: "group".into(),
            stages,
            strategy: [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne][below(3) as usize],
            max_restarts: [None, None, Some(5), Some(30)][below(4) as usize],
            restart_period: Duration::from_secs(60),
        });
    }
}

/// Something happens to some process, more or less in the order in which it should.
fn happens(world: &mut World) {
    let posts: Vec<Post> = world.processes.keys().copied().collect();
    if posts.is_empty() {
        return;
    }
    let post = world.pick(&posts);
    let (incarnation, spawned) = (world.processes[&post].incarnation, world.processes[&post].spawned);
    if !spawned && !world.chance(20) {
        if world.chance(20) {
            let permanent = world.chance(10);
            world.tell(Event::SpawnFailed { post, incarnation, words: "no memory".into(), permanent });
        } else {
            world.tell(Event::Spawned { post, incarnation, pid: 7 });
        }
        return;
    }
    let starting = world.core.worker(post).is_some_and(|worker| worker.state == State::Starting);
    let most = if starting { 10 } else { 20 };
    let event = match world.below(most) {
        0 => Event::Hello { post, incarnation },
        1..=6 => Event::Ready { post, incarnation },
        7 => Event::Paused { post, incarnation },
        8 => Event::Resumed { post, incarnation },
        9 => {
            let permanent = world.chance(30);
            Event::Failed { post, incarnation, words: "no connection".into(), permanent, outage: world.chance(3) }
        }
        10 => Event::Replace { post, incarnation, words: "it has grown".into() },
        14 if world.chance(4) => Event::SaysStopping { post, incarnation },
        15 if world.chance(4) => {
            let time = Duration::from_secs([0, 1, 20, 40][world.below(4)]);
            Event::Extend { post, incarnation, time }
        }
        16 if world.chance(10) => Event::DeadLetters(3),
        12 => Event::Hung { post, incarnation, words: "made no progress".into() },
        11 => Event::Leaving { post, incarnation, words: "it has done enough".into() },
        13 if world.chance(2) => Event::Restart { post, actor: Actor::Operator },
        13 => {
            let stage = world.below(world.core.plan().stages.len());
            Event::Scale { stage, replicas: 1 + world.below(4) as u16, actor: Actor::Operator }
        }
        _ => {
            let codes = [OK, OK, OK, OK, CRASH, CRASH, KILLED, KILLED, Exit::Code(2), Exit::Code(3)];
            let exit = if world.chance(100) { Exit::Code(127) } else { world.pick(&codes) };
            Event::Exited { post, incarnation, exit, left: left(world) }
        }
    };
    world.tell(event);
}

fn left(world: &mut World) -> Left {
    let progress = world.pick(&[Progress::None, Progress::None, Progress::Some, Progress::Much]);
    let in_hand = world.chance(8).then(|| "item 7 of queue q".to_owned());
    Left { items_left: world.chance(8), in_hand, unannounced: world.chance(8), progress }
}

/// Something that cannot be: late, early, about nobody, or against what was said before.
fn is_mad(world: &mut World) {
    let (post, incarnation) = (Post(world.below(12) as u16), Incarnation(world.below(6) as u32));
    let lives = world.processes.get(&post).is_some_and(|process| process.incarnation == incarnation);
    let event = match world.below(13) {
        0 => Event::Spawned { post, incarnation, pid: 8 },
        1 if !lives => Event::SpawnFailed { post, incarnation, words: "late".into(), permanent: true },
        2 if !lives => Event::Failed { post, incarnation, words: "late".into(), permanent: true, outage: false },
        3 if !lives => Event::Exited { post, incarnation, exit: KILLED, left: Left::default() },
        4 => Event::Ready { post, incarnation },
        5 => Event::Hello { post, incarnation },
        6 => Event::Resumed { post, incarnation },
        7 => Event::LoopIdle(world.below(3)),
        8 => Event::Replace { post, incarnation, words: "it has grown".into() },
        9 => Event::Leaving { post, incarnation, words: "it has done enough".into() },
        10 => Event::Restart { post, actor: Actor::Operator },
        11 => Event::Hung { post, incarnation, words: "made no progress".into() },
        _ => Event::Begin,
    };
    world.tell(event);
}

/// Another plan: stages are scaled, renewed, and if they are plain added and removed.
fn reloads(world: &mut World) {
    if world.core.level().is_some() || world.core.is_winding_down() {
        return;
    }
    let mut plan = Plan::clone(world.core.plan());
    let mut renewed = Vec::new();
    for ix in 0..plan.stages.len() {
        if plan.stages[ix].role() == Role::Consumer && world.chance(3) {
            plan.stages[ix].replicas = 1 + world.below(4) as u16;
        }
        if !plan.stages[ix].removed && world.chance(2) {
            renewed.push(ix);
        }
    }
    if world.chance(3) {
        let new = pipeline().stage(&format!("new-{}", plan.stages.len()), &[], &[]).times(1 + world.below(2) as u16);
        plan.stages.extend(new.stages);
    }
    let gone = world.below(plan.stages.len());
    if plan.stages[gone].is_plain() && world.chance(2) {
        let stage = &mut plan.stages[gone];
        (stage.removed, stage.replicas, stage.significant) = (true, 0, false);
        (stage.starts_after, stage.stops_after, stage.depends_on) = (Vec::new(), Vec::new(), Vec::new());
        for stage in &mut plan.stages {
            [&mut stage.starts_after, &mut stage.stops_after, &mut stage.depends_on]
                .into_iter()
                .for_each(|list| list.retain(|other| *other != gone));
        }
        plan.groups.iter_mut().for_each(|group| group.stages.retain(|stage| *stage != gone));
        plan.groups.retain(|group| !group.stages.is_empty());
    }
    let difference = Box::new(Difference { plan, renewed, made: Vec::new(), words: Vec::new() });
    world.tell(Event::Reload { difference, actor: Actor::Operator });
}

fn stops(world: &mut World) {
    let level = world.pick(&[StopLevel::Drain, StopLevel::Drain, StopLevel::Now, StopLevel::Kill]);
    let event = if world.chance(2) { Event::StopNext(TERM) } else { Event::StopAt(level, Actor::Operator) };
    world.tell(event);
}

/// The wild part of a story.
fn runs_wild(world: &mut World) {
    if !world.chance(20) {
        world.tell(Event::Begin);
    }
    for _ in 0..EVENTS {
        match world.below(40) {
            0..=7 => {
                world.behave();
            }
            8..=27 => happens(world),
            28..=35 => {
                let most = [0, 10, 500, 20_000][world.below(4)];
                world.pass(Duration::from_millis(most));
            }
            // A busy reactor comes late.
            36 => world.now += Duration::from_secs(3),
            37 if world.chance(2) => reloads(world),
            37 => world.tell(Event::WantManager),
            38 if world.chance(8) => stops(world),
            _ => is_mad(world),
        }
    }
    world.tell(Event::Begin);
}

/// The world behaves until the end. A bound on the steps, not on time.
fn comes_to_its_end(world: &mut World) {
    for _ in 0..5000 {
        if world.finish.is_some() {
            return;
        }
        if !world.behave() {
            world.pass(Duration::from_secs(1));
        }
    }
    panic!("the story has no end");
}

#[test]
fn a_stop_always_ends_whatever_happened_before() {
    let worlds = each_story(|world| {
        runs_wild(world);
        stops(world);
        comes_to_its_end(world);
        for _ in 0..10 {
            happens(world);
            is_mad(world);
            stops(world);
        }
    });
    let none = String::new;
    for verdict in [
        Verdict::Complete,
        Verdict::Drained,
        Verdict::Ended { stage: none() },
        Verdict::Stopped,
        Verdict::Failed { worker: none(), words: none() },
        Verdict::Abandoned { stage: none() },
        Verdict::DeadLetters { most: 3 },
        Verdict::GaveUp { worker: none(), reason: none(), words: none() },
        Verdict::Hopeless { worker: none(), words: none() },
    ] {
        let count = worlds.iter().filter(|world| world.is_verdict(&verdict)).count();
        assert!(count >= 20, "only {count} stories ended {verdict:?}");
    }
    let told = |words: &str| worlds.iter().filter(|world| world.log.iter().any(|line| line.contains(words))).count();
    for words in [
        "goes down with ",
        "starts again with the others",
        "its stage is scaled to ",
        "its stage is removed",
        "started again",
        "nobody takes what it sends",
        "the run continues without it",
        "while it had item 7 of queue q in hand",
    ] {
        assert!(told(words) >= 100, "hardly any story tells that somebody {words}");
    }
    let dropped = told("it could not be added (");
    assert!(dropped >= 5, "only {dropped} stories tell of an addition that was dropped");
    for action in ["Spawn ", "Stop ", "Kill ", "Sweep ", "Close(", "WatchLoop(", "Changed ", "Level(", "Finish("] {
        let told = |world: &&World| world.log.iter().any(|line| line.trim_start().starts_with(action));
        assert!(worlds.iter().filter(told).count() >= 100, "hardly any story has the action {action}");
    }
}

#[test]
fn without_a_stop_the_work_ends_by_itself_once_everyone_behaves() {
    each_story(|world| {
        runs_wild(world);
        let only_services = world.core.plan().stages.iter().all(|stage| stage.role() == Role::Service);
        if !only_services {
            comes_to_its_end(world);
        }
    });
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let tell = || {
        let mut world = World::new(plan(&mut Random::new(99)), 99);
        runs_wild(&mut world);
        world.log
    };
    assert_eq!(tell(), tell());
}
