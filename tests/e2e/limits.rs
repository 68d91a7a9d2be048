//! What the processes of a stage may do and have, seen from inside of them.

use std::os::unix::fs::PermissionsExt;

use brigade_tests::{Run, Sandbox, is_alive, until, until_some};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use serde_json::Value;

use crate::pipelines::{endless, finite, pair, task};

/// What a shell script says that runs as the only task of a pipeline with these keys.
fn said_under(keys: &str, script: &str) -> Vec<String> {
    let sandbox = Sandbox::new();
    sandbox.run(&task(&["sh", "-c", script], keys)).wait().with_code(0);
    said_by(&sandbox, "only")
}

fn said_by(sandbox: &Sandbox, stage: &str) -> Vec<String> {
    let said = sandbox.ask(&["logs", stage, "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let records = said.out.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    records.map(|record| record["message"].as_str().expect("a message").to_owned()).collect()
}

/// Tests of other users need root. Without it, what is left to see is that they are refused.
fn is_root_or_refused(keys: &str) -> bool {
    if geteuid().is_root() {
        return true;
    }
    let sandbox = Sandbox::new();
    let ended = sandbox.run(&task(&["true"], keys)).wait();
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert!(ended.err.contains("can be set by root alone"), "{}", ended.err);
    false
}

/// A field of `/proc/PID/status`.
fn status_of(pid: i32, field: &str) -> Vec<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.expect("the field is there").split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_worker_leads_a_session_and_a_group_of_its_own() {
    let script =
        "read -r pid comm state parent group session rest < /proc/$$/stat; echo $((pid - group)) $((pid - session))";
    assert_eq!(said_under("", script), ["0 0"]);
}

#[test]
fn a_session_weighs_what_its_worker_does() {
    if !std::path::Path::new("/proc/self/autogroup").exists() {
        return; // Here nice values count by themselves.
    }
    let script = "n=0; until read -r name value < /proc/$$/autogroup && [ \"$value\" = 'nice 7' ] || [ $n = 500 ]; do \
                  n=$((n + 1)); sleep 0.02; done; echo $value";
    assert_eq!(said_under("nice = 7\nreplicas = 3", script), ["nice 7"; 3]);
}

#[test]
fn every_limit_is_seen_by_the_process_that_is_under_it() {
    let keys = r#"
umask = "027"
nice = 7
cpus = "0"
no_new_privs = true
limits = { nofile = "100:200", core = "0B", stack = "4MiB:unlimited", cpu = "100s" }"#;
    let script = "umask; ulimit -Sn; ulimit -Hn; ulimit -c; ulimit -Ss; ulimit -Hs; ulimit -t; nice; \
                  grep -E 'NoNewPrivs|Cpus_allowed_list' /proc/self/status | tr '\\t' ' '";
    let said = said_under(keys, script);
    let expected =
        ["0027", "100", "200", "0", "4096", "unlimited", "100", "7", "NoNewPrivs: 1", "Cpus_allowed_list: 0"];
    let mut sorted = said.clone();
    sorted[8..].sort_by(|a, b| b.cmp(a));
    assert_eq!(sorted, expected, "{said:?}");
}

#[test]
fn without_an_allow_list_all_is_inherited_and_with_one_only_what_is_named() {
    let sandbox = Sandbox::new();
    let environment = |keys: &str| {
        let mut run = sandbox.run_with(&task(&["/usr/bin/env"], keys), |command| {
            command.env("SECRET", "x").env("WANTED", "y");
        });
        run.wait().with_code(0);
        let mut names: Vec<_> =
            said_by(&sandbox, "only").into_iter().filter_map(|line| Some(line.split_once('=')?.0.to_owned())).collect();
        names.sort();
        std::fs::remove_dir_all(sandbox.state()).expect("it was there");
        names
    };
    assert!(environment("").contains(&"SECRET".to_owned()));
    let own = ["DOOR", "INCARNATION", "PIPELINE", "RUN", "TOKEN", "WORKER"].map(|name| format!("BRIGADE_{name}"));
    let own = [&own[..], &["LEDGER".to_owned()]].concat();
    assert_eq!(environment("env_allow = []"), own);
    assert_eq!(environment("env_allow = ['WANTED', 'NOT_THERE']"), [&own[..], &["WANTED".to_owned()]].concat());
}

#[test]
fn a_limit_that_cannot_be_set_keeps_the_program_from_being_started_and_is_named() {
    let sandbox = Sandbox::new();
    let open_files = std::fs::read_to_string("/proc/sys/fs/nr_open").expect("a number");
    let too_many = open_files.trim().parse::<u64>().expect("a number") + 1;
    if !geteuid().is_root() {
        return; // Then it is a fault of the file already.
    }
    let mut run = sandbox.run(&task(&["true"], &format!("limits = {{ nofile = {too_many} }}")));
    let ended = run.wait();
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(ended.err.contains("cannot set its limits: Operation not permitted"), "{}", ended.err);
}

#[test]
fn a_process_runs_as_its_user_with_that_users_groups_and_no_right_of_ours() {
    if !is_root_or_refused("user = \"nobody\"") {
        return;
    }
    let said = said_under(
        "user = \"nobody\"\ngroup = \"daemon\"",
        "id -un; id -gn; id -G; echo $USER $HOME; echo to the pipe > /dev/stderr; grep -E 'Cap(Prm|Eff)' /proc/self/status | tr '\\t' ' '",
    );
    for line in [
        "nobody",
        "daemon",
        "nobody /nonexistent",
        "to the pipe",
        "CapPrm: 0000000000000000",
        "CapEff: 0000000000000000",
    ] {
        assert!(said.iter().any(|found| found == line), "{line} in {said:?}");
    }
    let groups: Vec<_> = said[2].split(' ').collect();
    assert!(!groups.contains(&"0"), "a group of root's was kept: {said:?}");
}

/// The endless line with its middle run by nobody and its sink by daemon, from a program that both can reach.
fn line_of_three_users(sandbox: &Sandbox) -> Run {
    let (bucket, ledger) = (sandbox.path("bucket"), sandbox.write("ledger", ""));
    std::fs::copy(brigade_tests::binary("bucket"), &bucket).expect("copied");
    for (path, mode) in [(sandbox.folder(), 0o755), (bucket.as_path(), 0o755), (ledger.as_path(), 0o666)] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("its mode is set");
    }
    let text = endless("user = \"nobody\"").replace("command = [\"bucket\"", "command = [\"${here}/bucket\"");
    sandbox.run(&text.replace("inputs = [\"done\"]", "inputs = [\"done\"]\nuser = \"daemon\""))
}

#[test]
fn workers_of_several_users_share_queues_that_none_of_them_could_open() {
    if !is_root_or_refused("user = \"nobody\"") {
        return;
    }
    let sandbox = Sandbox::new();
    let mut run = line_of_three_users(&sandbox);
    until("items flow", || sandbox.ledger().count("kept") > 20);
    let uid = |id: &str| status_of(run.pid_when(id, "ready"), "Uid");
    assert_eq!(uid("source/0"), ["0"; 4]);
    assert_eq!(uid("middle/0"), ["65534"; 4]);
    assert_eq!(uid("sink/0"), ["1"; 4]);
    // Killed in the middle of its work, the next one begins where it was.
    let pid = run.pid_when("middle/0", "ready");
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it lives");
    until("it is back", || run.worker("middle/0").is_some_and(|worker| worker["incarnation"] == 2));
    let kept = sandbox.ledger().count("kept");
    until("items flow again", || sandbox.ledger().count("kept") > kept + 20);
    run.signal(Signal::SIGTERM);
    run.wait().with_code(0);
    run.assert_nobody_left();
    let (sent, kept) = (sandbox.ledger().times("sent"), sandbox.ledger().times("kept"));
    assert_eq!(sent.keys().collect::<Vec<_>>(), kept.keys().collect::<Vec<_>>());
}

#[test]
fn the_state_folder_is_closed_to_the_user_of_a_worker() {
    if !is_root_or_refused("user = \"nobody\"") {
        return;
    }
    let sandbox = Sandbox::new();
    std::fs::set_permissions(sandbox.folder(), PermissionsExt::from_mode(0o755)).expect("its mode is set");
    let script = "for p in '' /queues /pages /logs /tmp /control.sock /lock; do \
                  ls $0$p 2>&1; cat < $0$p 2>&1; done; dirname $BRIGADE_DOOR | xargs ls 2>&1; id -u; \
                  echo open; ls /proc/$$/fd; echo list $BRIGADE_DESCRIPTORS";
    let keys = "user = \"nobody\"";
    let text = task(&["sh", "-c", script, "${here}/state"], keys);
    sandbox.run(&text).wait().with_code(0);
    let said = said_by(&sandbox, "only");
    let refused = said.iter().filter(|line| line.to_lowercase().contains("permission denied")).count();
    assert_eq!(refused, 15, "{said:#?}");
    let listed = said.iter().find_map(|line| line.strip_prefix("list ")).expect("a list");
    let mut expected: Vec<_> = listed.split(' ').map(|pair| pair.split_once('=').expect("a pair").1).collect();
    assert_eq!(expected.len(), 2, "door and page: {listed}");
    expected.extend(["0", "1", "2"]);
    let open = said.iter().skip_while(|line| *line != "open").skip(1);
    let mut open: Vec<_> = open.take_while(|line| !line.starts_with("list ")).map(String::as_str).collect();
    open.sort_unstable();
    expected.sort_unstable();
    assert_eq!(open, expected, "{said:#?}");
}

#[test]
fn a_worker_of_another_user_dies_with_the_supervisor() {
    if !is_root_or_refused("user = \"nobody\"") {
        return;
    }
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&task(&["sleep", "1000"], "user = \"nobody\""));
    let pid = until_some("it runs", || run.worker("only/0")?["pid"].as_i64());
    let pid = i32::try_from(pid).expect("pids are small");
    until("it is another user's", || status_of(pid, "Uid") == ["65534"; 4]);
    run.signal(Signal::SIGKILL);
    run.wait();
    until("it is dead", || !is_alive(pid));
}

/// How many items each run of a worker kept, in the order of the runs.
fn kept_by_run(sandbox: &Sandbox, worker: &str) -> Vec<usize> {
    let mut runs = std::collections::BTreeMap::new();
    for entry in sandbox.ledger().entries() {
        if entry.worker == worker && entry.deed != "sent" {
            *runs.entry(entry.incarnation).or_insert(0) += 1;
        }
    }
    runs.into_values().collect()
}

#[test]
fn after_its_items_a_worker_ends_and_the_next_run_goes_on_at_once() {
    for (batch, runs) in [("batch = 1", [10; 10]), ("batch = 64", [10; 10])] {
        let sandbox = Sandbox::new();
        // With max_restarts = 0 one restart that counted would end the run.
        let keys = format!("max_items = 10\nmax_restarts = 0\n{batch}");
        let mut run = sandbox.run(&finite(100, &["bucket", "pass"], &keys));
        let ended = run.wait();
        let report = ended.with_code(0);
        assert_eq!((report.queues["raw"].acked, report.queues["raw"].redelivered), (100, 0));
        assert_eq!(report.stages["middle"].restarts, 0, "they are no restarts");
        assert_eq!(kept_by_run(&sandbox, "middle/0"), runs);
        assert!(ended.err.contains("middle/0 is replaced: exit code 0: it has done its 10 items"), "{}", ended.err);
        assert!(sandbox.ledger().times("kept").values().all(|times| *times == 1));
    }
}

#[test]
fn all_threads_of_a_worker_share_the_count_of_its_items() {
    let sandbox = Sandbox::new();
    let keys = "max_items = 10\nmax_restarts = 0\nthreads = 4";
    sandbox.run(&finite(100, &["bucket", "pass"], keys)).wait().with_code(0);
    let runs = kept_by_run(&sandbox, "middle/0");
    // Each of the three others may have an item in hand when the tenth is done.
    assert!(runs.iter().all(|items| *items <= 13) && runs.len() >= 8, "{runs:?}");
    assert!(sandbox.ledger().times("kept").values().all(|times| *times == 1));
}

#[test]
fn plain_receivers_are_replaced_as_well() {
    let sandbox = Sandbox::new();
    sandbox.run(&finite(50, &["bucket", "relay"], "max_items = 10\nmax_restarts = 0")).wait().with_code(0);
    assert_eq!(kept_by_run(&sandbox, "middle/0"), [10; 5]);
}

#[test]
fn a_worker_that_has_grown_is_replaced_between_two_items_and_that_is_said() {
    let sandbox = Sandbox::new();
    let keys = "max_rss = \"64MiB\"\nmax_restarts = 0";
    let mut run = sandbox.run(&pair(&["bucket", "emit-then-wait", "30"], "", &["misfit", "grow", "10"], keys));
    until("all is kept", || sandbox.ledger().times("kept").len() == 30);
    run.until_said("more than its max_rss of 64MiB");
    until("the next run is there", || {
        run.worker("taker/0").is_some_and(|worker| worker["state"] == "ready" && worker["incarnation"] != 1)
    });
    run.signal(Signal::SIGTERM);
    let report = run.wait().with_code(0);
    assert_eq!((report.queues["items"].redelivered, report.stages["taker"].restarts), (0, 0));
    assert!(sandbox.ledger().times("kept").values().all(|times| *times == 1));
}

#[test]
fn a_worker_without_items_is_never_replaced_for_its_size() {
    let sandbox = Sandbox::new();
    // Its program alone is larger than that.
    let mut run =
        sandbox.run(&pair(&["bucket", "emit-then-wait", "0"], "", &["misfit", "grow", "10"], "max_rss = \"1MiB\""));
    let pid = run.pid_when("taker/0", "ready");
    let stays = brigade_tests::holds_for_a_while(std::time::Duration::from_secs(3), || is_alive(pid));
    assert!(stays, "{}", run.said());
    run.signal(Signal::SIGTERM);
    run.wait().with_code(0);
}

#[test]
fn a_memory_max_that_cannot_be_kept_is_said_by_check_and_by_run_and_one_that_can_is_kept() {
    let sandbox = Sandbox::new();
    let keys = "memory_max = \"64MiB\"\nmax_restarts = 1";
    let text = pair(&["bucket", "emit", "30"], "max_deliveries = 1", &["misfit", "grow", "10"], keys);
    let said = Sandbox::say({
        let mut check = sandbox.brigade(["check"]);
        check.arg(sandbox.pipeline(&text));
        check
    });
    assert_eq!(said.code, Some(0), "{}", said.err);
    let is_kept = !said.err.contains("note: memory_max of taker would not be kept: ");
    let ended = sandbox.run(&text).wait();
    if is_kept {
        assert!(ended.err.contains("out of memory: it used more than its memory_max of 64MiB"), "{}", ended.err);
    } else {
        ended.with_code(0);
        assert!(ended.err.contains("memory_max of taker is not kept: "), "{}", ended.err);
    }
}
