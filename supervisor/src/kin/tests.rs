//! Real processes, found and ended, and strangers left alone.

use std::process::{Child, Command, Stdio};

use super::cookie::{KEEPER_ENV, RUN_ENV};
use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

fn kin(groups: &[i32], until: u64) -> Kin {
    let since = Process::of(std::process::id().cast_signed()).expect("we live").start;
    let cookie = Cookie::random().expect("random numbers");
    Kin { cookie, since, groups: groups.iter().copied().collect(), until }
}

/// A process that lives until it is killed, in a group of its own.
fn sleeper(env: &[(&str, &str)]) -> Child {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new("sleep");
    command.arg("600").env_clear().env("PATH", "/usr/bin:/bin").envs(env.iter().copied()).process_group(0);
    command.stdin(Stdio::null()).spawn().expect("sleep starts")
}

fn is_killed(mut child: Child) -> bool {
    let lives = child.try_wait().expect("our child").is_none();
    let _ = child.kill();
    let _ = child.wait();
    !lives
}

#[test]
fn those_with_the_cookie_end_and_those_without_go_on() {
    let kin = kin(&[], 0);
    let other = Cookie::random().expect("random numbers");
    let joined = format!("{}:{}", kin.cookie.as_str(), other.as_str());
    let ours = [sleeper(&[(RUN_ENV, kin.cookie.as_str())]), sleeper(&[(RUN_ENV, &joined)])];
    let strangers = [sleeper(&[]), sleeper(&[(RUN_ENV, other.as_str())])];
    let ended = kin.end_all(PATIENCE).expect("there is a /proc");
    assert_eq!((ended.gone, ended.left.len(), ended.refused.len()), (2, 0, 0));
    assert!(ours.into_iter().all(is_killed));
    assert!(!strangers.into_iter().any(is_killed));
}

#[test]
fn a_group_ends_unless_its_number_has_come_to_mean_somebody_else() {
    let (ours, stranger) = (sleeper(&[]), sleeper(&[]));
    let number = |child: &Child| i32::try_from(child.id()).expect("pids are small");
    let earlier = Process::of(number(&stranger)).expect("it lives").start - 1;
    assert_eq!(kin(&[number(&stranger)], earlier).end_all(PATIENCE).expect("there is a /proc"), Ended::default());
    assert_eq!(kin(&[number(&ours)], process::now()).end_all(PATIENCE).expect("there is a /proc").gone, 1);
    assert!(is_killed(ours));
    assert!(!is_killed(stranger));
}

#[test]
fn nobody_is_kin_who_is_older_than_the_run() {
    let mut kin = kin(&[], 0);
    let older = sleeper(&[(RUN_ENV, kin.cookie.as_str())]);
    kin.since = process::now() + 1;
    assert_eq!(kin.end_all(PATIENCE).expect("there is a /proc"), Ended::default());
    assert!(!is_killed(older));
}

#[test]
fn a_keeper_that_does_not_end_by_itself_is_ended() {
    let kin = kin(&[], 0);
    let keeper = sleeper(&[(KEEPER_ENV, kin.cookie.as_str())]);
    let begun = Instant::now();
    assert_eq!(kin.end_all(PATIENCE).expect("there is a /proc").gone, 1);
    assert!(begun.elapsed() >= KEEPER_GRACE, "it was given no time");
    assert!(is_killed(keeper));
}

#[test]
fn this_process_and_those_it_descends_from_are_spared() {
    let all = process::all().expect("there is a /proc");
    let line = own_line(&all);
    assert!(line.contains(&nix::unistd::getpid().as_raw()) && line.contains(&nix::unistd::getppid().as_raw()));
    let mut everybody = kin(&[], process::now());
    everybody.groups = all.iter().map(|process| process.group).collect();
    everybody.since = 0;
    let found = everybody.look().expect("there is a /proc");
    assert!(found.iter().all(|(process, _)| !line.contains(&process.pid)));
}
