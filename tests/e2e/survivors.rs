//! What workers have started, and who ends it when the supervisor is killed: the keeper, or, if that was killed as well,
//! the next run. Strangers go on.

use std::collections::BTreeMap;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use brigade_tests::{Run, Sandbox, holds_for_a_while, is_alive, keeper_of, until, until_some};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::pipelines::{endless, task};

/// A worker that starts others in all ways in which they could get lost.
const BREED: &str = r#"
here=${0%/*}
born="/bin/sh $here/born.sh"
$born child &
(trap '' TERM; exec $born deaf) &
env -i $born bare &
setsid $born stopped &
setsid $born session &
setsid sh -c "$born grandchild & exec sleep 600" &
setsid sh -c "env -i $born bare-grandchild & exec sleep 600" &
wait
"#;
/// Notes its name and pid, and lives.
const BORN: &str = r#"
echo "$1 $$ ." >> ${0%/*}/born
[ $1 != stopped ] || kill -STOP $$
exec sleep 600
"#;

struct Brood {
    sandbox: Sandbox,
    run: Run,
    pids: BTreeMap<String, i32>,
}

/// A run whose worker has started everyone.
fn brood() -> Brood {
    let sandbox = Sandbox::new();
    sandbox.write("breed.sh", BREED);
    sandbox.write("born.sh", BORN);
    let run = sandbox.run(&task(&["/bin/sh", "${here}/breed.sh"], ""));
    let pids = until_some("all are born", || Some(born(&sandbox)).filter(|pids| pids.len() == 7));
    until("one is stopped", || is_stopped(pids["stopped"]));
    Brood { sandbox, run, pids }
}

fn born(sandbox: &Sandbox) -> BTreeMap<String, i32> {
    let text = std::fs::read_to_string(sandbox.path("born")).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.strip_suffix(" .")?.split_once(' '));
    lines.filter_map(|(name, pid)| Some((name.to_owned(), pid.parse().ok()?))).collect()
}

impl Brood {
    fn living(&self) -> Vec<&String> {
        self.pids.iter().filter(|(_, pid)| is_alive(**pid)).map(|(name, _)| name).collect()
    }

    fn keeper(&self) -> i32 {
        until_some("there is a keeper", || keeper_of(self.run.pid()))
    }

    /// The supervisor cannot start another keeper in between.
    fn kill_supervisor_and_keeper(&mut self) {
        let keeper = self.keeper();
        self.run.signal(Signal::SIGSTOP);
        until("the supervisor is stopped", || is_stopped(self.run.pid()));
        send(keeper, Signal::SIGKILL);
        self.run.signal(Signal::SIGKILL);
        self.run.wait();
        until("its worker is gone", || !self.run.processes().iter().any(|process| process.command.contains("breed")));
    }

    /// What the next run says, which has nothing to do. Not by a [`Run`], which would end everyone at its own end.
    fn next(&self, more: &[&str]) -> String {
        let mut command = self.sandbox.run_command(&task(&["/bin/true"], ""));
        command.args(more);
        let said = Sandbox::say(command);
        assert_eq!(said.code, Some(0), "{}", said.err);
        said.err
    }
}

impl Drop for Brood {
    fn drop(&mut self) {
        for name in self.living() {
            let _ = kill(Pid::from_raw(self.pids[name]), Signal::SIGKILL);
        }
    }
}

/// A process that no run has started. Killed when it is dropped.
struct Stranger(Child);

impl Stranger {
    fn new(env: &[(&str, &str)]) -> Self {
        Self(Command::new("sleep").arg("600").envs(env.iter().copied()).spawn().expect("sleep starts"))
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).expect("pids are small")
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_stopped(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") T "))
}

fn send(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).expect("it is there");
}

/// Changes a value in the note of the last run.
fn edit_note(sandbox: &Sandbox, key: &str, value: Value) {
    let path = sandbox.state().join("run.json");
    let mut note: Value = serde_json::from_slice(&std::fs::read(&path).expect("a note")).expect("it is JSON");
    assert!(note.get(key).is_some(), "{note}");
    note[key] = value;
    std::fs::write(path, note.to_string()).expect("written");
}

#[test]
fn whatever_workers_have_started_is_ended_when_the_supervisor_is_killed() {
    let mut brood = brood();
    let keeper = brood.keeper();
    let stranger = Stranger::new(&[("BRIGADE_RUN", "0123456789abcdef0123456789abcdef")]);
    assert_eq!(brood.living().len(), 7);
    let killed = Instant::now();
    brood.run.signal(Signal::SIGKILL);
    until("all are gone", || brood.living().is_empty());
    println!("all were gone {:?} after the supervisor was killed", killed.elapsed());
    until("the keeper is gone", || !is_alive(keeper));
    assert!(is_alive(stranger.pid()));
    assert_eq!(brood.run.wait().signal, Some(9));
}

#[test]
fn what_has_outlived_the_supervisor_and_the_keeper_is_ended_by_the_next_run() {
    let mut brood = brood();
    // Without its environment, its parent and its keeper, nobody can know it.
    send(brood.pids["bare"], Signal::SIGKILL);
    brood.kill_supervisor_and_keeper();
    assert_eq!(brood.living(), ["bare-grandchild", "child", "deaf", "grandchild", "session", "stopped"]);
    let said = brood.next(&[]);
    // The two that have started grandchildren in a session of their own have no name here.
    assert!(said.contains("ended 8 processes that an earlier run had left"), "{said}");
    assert_eq!(brood.living(), Vec::<&String>::new());
    let again = brood.next(&[]);
    assert!(!again.contains("had left"), "{again}");
}

#[test]
fn fresh_ends_what_an_earlier_run_has_left_as_well() {
    let mut brood = brood();
    brood.kill_supervisor_and_keeper();
    let said = brood.next(&["--fresh"]);
    assert!(said.contains("that an earlier run had left"), "{said}");
    assert!(brood.living().iter().all(|name| *name == "bare"), "{:?}", brood.living());
}

#[test]
fn a_stranger_who_has_got_the_pid_of_the_last_supervisor_is_not_touched() {
    let mut brood = brood();
    brood.kill_supervisor_and_keeper();
    let strangers = [Stranger::new(&[]), Stranger::new(&[("BRIGADE_RUN", "0123456789abcdef0123456789abcdef")])];
    for stranger in &strangers {
        edit_note(&brood.sandbox, "pid", stranger.pid().into());
        brood.next(&[]);
    }
    assert!(strangers.iter().all(|stranger| is_alive(stranger.pid())));
    assert!(!is_alive(brood.pids["session"]), "nothing was ended at all");
}

#[test]
fn nobody_is_looked_for_after_the_machine_was_started_again() {
    let mut brood = brood();
    brood.kill_supervisor_and_keeper();
    edit_note(&brood.sandbox, "boot", serde_json::json!([1, 2]));
    let said = brood.next(&[]);
    assert!(!said.contains("had left"), "{said}");
    assert!(is_alive(brood.pids["session"]));
}

#[test]
fn a_note_of_the_last_run_that_makes_no_sense_is_told_of_and_holds_up_nobody() {
    let sandbox = Sandbox::new();
    let text = task(&["/bin/true"], "");
    sandbox.run(&text).wait().with_code(0);
    std::fs::write(sandbox.state().join("run.json"), "{ \"cookie\": \"no\" }").expect("written");
    let ended = sandbox.run(&text).wait();
    ended.with_code(0);
    assert!(ended.err.contains("run.json makes no sense"), "{}", ended.err);
    let ended = sandbox.run(&text).wait();
    assert!(!ended.err.contains("makes no sense"), "{}", ended.err);
}

#[test]
fn a_keeper_that_is_killed_is_replaced_and_the_next_one_knows_the_workers() {
    let brood = brood();
    let mut keeper = brood.keeper();
    for _ in 0..2 {
        send(keeper, Signal::SIGKILL);
        let next = until_some("there is another keeper", || keeper_of(brood.run.pid()).filter(|next| *next != keeper));
        keeper = next;
    }
    assert!(brood.run.said().contains("the keeper ended (killed by SIGKILL); another one is started"));
    assert_eq!(brood.living().len(), 7, "a keeper that is killed ends nobody");
    brood.run.signal(Signal::SIGKILL);
    until("all are gone", || brood.living().is_empty());
}

#[test]
fn a_keeper_has_no_ear_for_signals_and_holds_nothing_of_its_supervisor() {
    let brood = brood();
    let keeper = brood.keeper();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGPIPE] {
        send(keeper, signal);
    }
    let link = |name: &str| std::fs::read_link(format!("/proc/{keeper}/{name}")).expect("ours").display().to_string();
    let held: Vec<_> = std::fs::read_dir(format!("/proc/{keeper}/fd")).expect("ours").flatten().collect();
    assert_eq!(held.len(), 3, "{held:?}");
    assert!(link("fd/0").starts_with("pipe:"), "{}", link("fd/0"));
    assert_eq!((link("fd/1"), link("fd/2"), link("cwd")), ("/dev/null".into(), "/dev/null".into(), "/".into()));
    let status = std::fs::read_to_string(format!("/proc/{keeper}/status")).expect("ours");
    println!(
        "{}",
        status.lines().filter(|line| line.starts_with("Rss") || line.starts_with("VmRSS")).collect::<String>()
    );
    assert!(holds_for_a_while(Duration::from_millis(50), || keeper_of(brood.run.pid()) == Some(keeper)));
    brood.run.signal(Signal::SIGKILL);
    until("all are gone", || brood.living().is_empty());
}

#[test]
fn no_keeper_outlives_an_orderly_end_nor_counts_as_a_leak() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&endless(""));
    until("items flow", || sandbox.ledger().count("kept") > 10);
    let keeper = until_some("there is a keeper", || keeper_of(run.pid()));
    run.signal(Signal::SIGTERM);
    let ended = run.wait();
    ended.with_code(0);
    assert!(!is_alive(keeper));
    assert!(!ended.err.contains("keeper") && !ended.err.contains("outside of their groups"), "{}", ended.err);
}

#[test]
fn a_run_inside_of_a_run_is_ended_with_it() {
    let sandbox = Sandbox::new();
    sandbox.write("breed.sh", BREED);
    sandbox.write("born.sh", BORN);
    let inner = task(&["/bin/sh", "${here}/breed.sh"], "").replace("${here}", &sandbox.folder().display().to_string());
    let inner = sandbox.write("inner.toml", inner.replace("env.LEDGER", "env.UNUSED").replace("${ledger}", ""));
    let outer = ["brigade", "run", inner.to_str().expect("text"), "--state-dir", "${here}/inner"];
    let run = sandbox.run_with(&task(&outer, ""), |command| {
        let programs = brigade_tests::folder().display().to_string();
        command.env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap_or_default()));
    });
    let pids = until_some("all are born", || Some(born(&sandbox)).filter(|pids| pids.len() == 7));
    let brood = Brood { sandbox, run, pids };
    let inner: Vec<i32> = brood.run.processes().iter().map(|process| process.pid).collect();
    brood.run.signal(Signal::SIGKILL);
    until("all are gone", || brood.living().is_empty() && !inner.iter().any(|pid| is_alive(*pid)));
}
