//! Plain processes that speak sd_notify: when they are ready, what they do, that they live and that they go.

use std::time::Duration;

use brigade_tests::{Sandbox, holds_for_a_while, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::pipelines::task;

/// A service that follows these steps, and one that depends on it.
fn web(steps: &[&str], keys: &str) -> String {
    let command = [&["rogue", "notify"], steps].concat();
    let command = serde_json::to_string(&command).expect("strings"); // As TOML has it, too.
    format!(
        "name = \"web\"\n[stages.db]\ncommand = {command}\nready = \"notify\"\nrestart = \"permanent\"\n{keys}\n\
         [stages.web]\ncommand = [\"bucket\", \"serve\"]\ndepends_on = [\"db\"]\n"
    )
}

#[test]
fn what_depends_on_a_process_waits_for_its_ready_and_its_status_is_shown() {
    let sandbox = Sandbox::new();
    let (gate, more) = (sandbox.path("gate").display().to_string(), sandbox.path("more").display().to_string());
    let steps = [
        "say:STATUS=reading the index\u{1b}[31m|FDSTORE=1",
        &format!("until:{gate}"),
        "say:READY=1|STATUS=3 clients",
        &format!("until:{more}"),
        "flood:20000",
    ];
    let mut run = sandbox.run(&web(&steps, ""));
    let db = |key: &str| run.worker("db/0").map(|worker| worker[key].clone()).unwrap_or_default();
    until("it says what it does", || db("doing").as_str().is_some_and(|it| it.starts_with("reading the index")));
    let is = |id: &str, state: &str| run.worker(id).is_some_and(|worker| worker["state"] == state);
    let waits = holds_for_a_while(Duration::from_secs(2), || is("db/0", "starting") && is("web/0", "pending"));
    assert!(waits, "{}", run.said());
    let shown = sandbox.ask(&["status"]).out;
    assert!(shown.contains("reading the index") && !shown.contains('\u{1b}'), "{shown}");
    sandbox.write("gate", "");
    run.pid_when("web/0", "ready");
    assert_eq!((db("state").as_str(), db("doing").as_str()), (Some("ready"), Some("3 clients")));
    sandbox.write("more", "");
    until("all that it said was heard", || db("doing") == "message 19999");
    run.signal(Signal::SIGTERM);
    run.wait().with_code(0);
    run.assert_nobody_left();
}

#[test]
fn a_process_that_asks_for_more_time_is_not_killed_for_being_slow() {
    let sandbox = Sandbox::new();
    let gate = sandbox.path("gate").display().to_string();
    let steps = ["say:EXTEND_TIMEOUT_USEC=60000000", &format!("until:{gate}"), "say:READY=1"];
    let mut run = sandbox.run(&web(&steps, "start_timeout = \"1s\"\nmax_restarts = 0"));
    run.pid_when("db/0", "starting");
    let slow = holds_for_a_while(Duration::from_secs(2), || {
        run.worker("db/0").is_some_and(|worker| worker["state"] == "starting" && worker["incarnation"] == 1)
    });
    assert!(slow, "{}", run.said());
    sandbox.write("gate", "");
    run.pid_when("web/0", "ready");
    run.signal(Signal::SIGTERM);
    run.wait().with_code(0);
}

#[test]
fn a_process_that_gives_no_sign_of_life_is_aborted_and_one_that_is_stopped_is_not_blamed() {
    let sandbox = Sandbox::new();
    let keys = "watchdog = \"1s\"\nmax_restarts = \"unlimited\"\nbackoff = \"10ms\"\nlimits = { core = \"0B\" }";
    let run_of = |steps: &[&str]| sandbox.run(&web(steps, keys));
    let mut run = run_of(&["say:READY=1"]);
    run.until_said("sent no WATCHDOG=1 for 1s: aborted");
    until("it is started anew", || run.worker("db/0").is_some_and(|it| it["incarnation"].as_u64() > Some(1)));
    let end = run.worker("db/0").expect("it is there")["last_exit"].clone();
    assert_eq!(end, "killed by SIGABRT: sent no WATCHDOG=1 for 1s: aborted");
    sandbox.stop("--kill");
    run.wait();
    // It says every 100 ms that it lives.
    let script = "import os, socket, time\ns = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
                  assert os.environ['WATCHDOG_USEC'] == '1000000'\ns.connect(os.environ['NOTIFY_SOCKET'])\ns.send(b'READY=1')\n\
                  while True:\n    s.send(b'WATCHDOG=1')\n    time.sleep(0.1)\n";
    let sandbox = Sandbox::new();
    let text = task(&["python3", "-c", script], &format!("ready = \"notify\"\n{keys}"));
    let mut run = sandbox.run(&text);
    let pid = run.pid_when("only/0", "ready");
    let lives = || run.worker("only/0").is_some_and(|worker| worker["incarnation"] == 1);
    assert!(holds_for_a_while(Duration::from_secs(3), lives), "{}", run.said());
    kill(Pid::from_raw(pid), Signal::SIGSTOP).expect("it lives");
    assert!(holds_for_a_while(Duration::from_secs(3), lives), "who is stopped cannot say anything: {}", run.said());
    kill(Pid::from_raw(pid), Signal::SIGCONT).expect("it lives");
    sandbox.stop("--now");
    run.wait();
}

#[test]
fn a_process_that_says_that_it_is_stopping_is_shown_so_and_has_not_crashed() {
    let sandbox = Sandbox::new();
    let gate = sandbox.path("gate").display().to_string();
    let steps = ["rogue", "notify", "say:READY=1", "say:STOPPING=1", &format!("until:{gate}"), "exit:0"];
    let mut run = sandbox.run(&task(&steps, "ready = \"notify\""));
    run.pid_when("only/0", "stopping");
    sandbox.write("gate", "");
    let report = run.wait().with_code(0);
    assert_eq!(report.stages["only"].restarts, 0);
    assert!(sandbox.ask(&["events"]).out.contains("only/0 #1 ready -> stopping: it says that it is stopping"));
}

#[test]
fn a_process_that_never_says_that_it_is_ready_is_killed_after_its_start_timeout() {
    let sandbox = Sandbox::new();
    let nonsense = ["rogue", "notify", "say:READY=0|READY|=1||WATCHDOG=", &format!("say:{}", "x".repeat(9000))];
    let keys = "ready = \"notify\"\nstart_timeout = \"1s\"\nmax_restarts = 0";
    let report = sandbox.run(&task(&nonsense, keys)).wait().with_code(3);
    assert!(report.verdict.contains("not ready within 1s"), "{}", report.verdict);
}

#[test]
fn a_process_of_another_user_reaches_its_socket_and_nothing_else_of_the_folder() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("NOT TESTED: only root can start processes of other users");
        return;
    }
    let sandbox = Sandbox::new();
    let script = "import os, socket\ns = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
                  s.sendto(b'READY=1\\nSTATUS=as ' + str(os.getuid()).encode(), os.environ['NOTIFY_SOCKET'])\n\
                  import time\nwhile True: time.sleep(1)\n";
    let text = task(&["/usr/bin/env", "python3", "-c", script], "ready = \"notify\"\nuser = \"nobody\"");
    let text = text.replace("env.LEDGER", "cwd = \"/\"\nenv.PATH = \"/usr/bin:/bin\"\nenv.LEDGER");
    let mut run = sandbox.run(&text);
    run.pid_when("only/0", "ready");
    let doing = run.worker("only/0").expect("it is there")["doing"].clone();
    assert!(doing.as_str().is_some_and(|doing| doing.starts_with("as ") && doing != "as 0"), "{doing}");
    sandbox.stop("--now");
    run.wait();
}

#[test]
fn what_it_does_is_shown_of_workers_of_the_sdk_as_well() {
    let sandbox = Sandbox::new();
    let gate = sandbox.path("gate").display().to_string();
    let mut run = sandbox.run(&crate::pipelines::finite(1, &["bucket", "hold", &gate], ""));
    let doing = |id: &str| run.worker(id).map(|worker| worker["doing"].clone()).unwrap_or_default();
    until("it has an item", || {
        doing("middle/0").as_str().is_some_and(|it| it.starts_with("at item ") && it.ends_with(" of queue raw"))
    });
    until("the other has none", || doing("sink/0") == "waits for an item");
    sandbox.write("gate", "");
    run.wait().with_code(0);
}
