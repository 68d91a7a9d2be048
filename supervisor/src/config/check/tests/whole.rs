//! The whole way from a file to the plan and back, and all faults of a file at once.

use std::time::Duration;

use super::Bench;
use crate::config::plan::{ExitCode, Exits, LogPlan, Plan, RestartPolicy, Role, Strategy};
use crate::config::print;

/// The checksum pipeline.
const CHECKSUM: &str = r#"name = "checksum"

[vars]                         # defaults of ${…}
dir = "."
out = "checksums.txt"

[queues.paths]
capacity = 1024                # items; everything that is not free counts
item_bytes = "1KiB"            # room inline
max_item_bytes = "64KiB"
max_deliveries = 5

[queues.sums]

[stages.walk]
command = ["walk", "${dir}"]
outputs = ["paths"]

[stages.hash]
command = ["hash"]
replicas = 4
threads = 1
inputs = ["paths"]
outputs = ["sums"]

[stages.report]
command = ["report", "${out}"]
inputs = ["sums"]
"#;

fn json(plan: &Plan) -> serde_json::Value {
    let mut value = serde_json::to_value(plan).unwrap();
    value["file"] = serde_json::Value::Null;
    value
}

#[test]
fn the_checksum_pipeline_becomes_the_expected_plan() {
    let bench = Bench::new();
    let plan = bench.load_with(CHECKSUM, &[("dir", "/usr/share")]).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!((plan.name.as_str(), plan.drain_timeout), ("checksum", Duration::from_secs(30)));
    assert!(plan.file.is_absolute() && plan.file.ends_with("files/p.toml"), "{:?}", plan.file);
    assert!(plan.loops.is_empty());
    assert_eq!(plan.logs, LogPlan::default());
    assert_eq!((plan.logs.max_file_bytes, plan.logs.keep_files, plan.logs.max_total_bytes), (16 << 20, 20, 1 << 30));

    let [paths, sums] = plan.queues.as_slice() else { panic!("{:?}", plan.queues) };
    assert_eq!((paths.name.as_str(), sums.name.as_str()), ("paths", "sums"));
    assert_eq!((&paths.producers[..], &paths.consumers[..]), (&[0][..], &[1][..]));
    assert_eq!((&sums.producers[..], &sums.consumers[..]), (&[1][..], &[2][..]));
    for queue in [paths, sums] {
        assert_eq!((queue.capacity, queue.item_bytes, queue.max_item_bytes), (1_024, 1_024, 65_536));
        assert_eq!(queue.max_deliveries, Some(5));
        assert_eq!((queue.retry_delay, queue.retry_delay_max), (Duration::ZERO, Duration::from_secs(300)));
    }

    let [walk, hash, report] = plan.stages.as_slice() else { panic!("{:?}", plan.stages) };
    assert_eq!((walk.program.clone(), &walk.args), (bench.root().join("bin/walk"), &vec!["/usr/share".to_owned()]));
    assert_eq!(report.args, ["checksums.txt"]);
    assert_eq!((hash.replicas, hash.threads, hash.cwd.clone()), (4, 1, bench.root().join("run")));
    assert_eq!((&hash.inputs[..], &hash.outputs[..]), (&[0][..], &[1][..]));
    assert_eq!(
        (&walk.starts_after[..], &hash.starts_after[..], &report.starts_after[..]),
        (&[1][..], &[2][..], &[][..])
    );
    assert_eq!((hash.restart, hash.max_restarts), (RestartPolicy::Transient, Some(5)));
    assert_eq!((hash.restart_period, hash.start_timeout), (Duration::from_secs(60), Duration::from_secs(30)));
    assert_eq!((hash.backoff, hash.backoff_max), (Duration::from_millis(100), Duration::from_secs(5)));
    assert_eq!((hash.give_up_after, hash.outage_timeout), (Duration::from_secs(120), Duration::from_secs(600)));
    assert_eq!((plan.fail_on_dead_letters, plan.max_dead_letters), (true, None));
    assert_eq!((hash.stop_timeout, hash.stop_signal, hash.exit_on_panic), (Duration::from_secs(10), 15, false));
    assert_eq!([walk.role(), hash.role(), report.role()], [Role::Source, Role::Consumer, Role::Consumer]);
}

/// A file that sets every key to something other than its default.
const EVERYTHING: &str = r#"
name = "all-keys_1"
drain_timeout = "1m 30s"
fail_on_dead_letters = false
max_dead_letters = 12
[vars]
n = "2"
size = "2KiB"
no = "false"
[logs]
max_file_bytes = "1MiB"
max_file_age = "1h"
keep_files = 3
keep_age = "2d"
max_total_bytes = "10MiB"
compress = "${no}"
write_timeout = "0s"
[queues.q]
capacity = 7
item_bytes = "${size}"
max_item_bytes = "1MB"
max_deliveries = "unlimited"
retry_delay = "1s 500ms"
retry_delay_max = "1h"
[queues.back]
max_deliveries = 32767
retry_delay = "6m"
[stages.zeta]
command = ["./local", "a b", "quote\" back\\ tab\t $${literal} é"]
outputs = ["q"]
replicas = "cpus"
threads = 3
batch = 7
batch_time = "1s 5ms"
cwd = "../run"
env = { A = "1", "odd key" = "${n} \u001b" }
restart = "permanent"
max_restarts = "unlimited"
restart_period = "2h"
give_up_after = "0s"
outage_timeout = "1h"
backoff = "5ms"
backoff_max = "1s"
start_timeout = "1d"
stop_timeout = "0s"
stop_signal = "SIGINT"
on_panic = "exit"
success_codes = [3, "SIGTERM", "${n}"]
fatal_codes = ["ABRT", 0x40]
significant = true
[stages.alpha]
command = ["tool"]
inputs = ["q", "back"]
outputs = ["back"]
replicas = "${n}"
restart = "temporary"
max_restarts = 0
[stages.watch]
command = ["walk"]
restart = "permanent"
[stages.plain]
command = ["walk"]
depends_on = ["zeta", "watch"]
[groups.crowd]
stages = ["zeta", "plain", "alpha"]
strategy = "rest-for-one"
max_restarts = 9
restart_period = "10m"
[groups.alone]
stages = ["watch"]
"#;

#[test]
fn every_key_is_believed() {
    let bench = Bench::new();
    let plan = bench.load(EVERYTHING).unwrap_or_else(|faults| panic!("{faults}"));
    let [zeta, alpha, watch, plain] = plan.stages.as_slice() else { panic!("{:?}", plan.stages) };
    assert_eq!(plan.drain_timeout, Duration::from_secs(90));
    assert_eq!((plan.fail_on_dead_letters, plan.max_dead_letters), (false, Some(12)));
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let logs = LogPlan {
        max_file_bytes: 1 << 20,
        max_file_age: hours(1),
        keep_files: 3,
        keep_age: hours(48),
        max_total_bytes: 10 << 20,
        compress: false,
        write_timeout: Duration::ZERO,
    };
    assert_eq!(plan.logs, logs);
    assert_eq!((plan.queues[0].capacity, plan.queues[0].item_bytes), (7, 2_048));
    assert_eq!((plan.queues[0].max_item_bytes, plan.queues[0].max_deliveries), (1_000_000, None));
    let delays = |queue: usize| (plan.queues[queue].retry_delay, plan.queues[queue].retry_delay_max);
    assert_eq!(delays(0), (Duration::from_millis(1_500), Duration::from_secs(3_600)));
    assert_eq!(delays(1), (Duration::from_secs(360), Duration::from_secs(360)), "no longest given: it makes way");
    assert_eq!(zeta.program, bench.root().join("files/local"));
    assert_eq!(zeta.args, ["a b", "quote\" back\\ tab\t ${literal} é"]);
    assert_eq!((zeta.replicas, zeta.threads, alpha.replicas), (3, 3, 2));
    assert_eq!(zeta.env.get("odd key").map(String::as_str), Some("2 \u{1b}"));
    assert_eq!(zeta.cwd.canonicalize().unwrap(), bench.root().join("run"));
    assert_eq!((zeta.restart, zeta.max_restarts, alpha.max_restarts), (RestartPolicy::Permanent, None, Some(0)));
    assert_eq!((zeta.stop_signal, zeta.exit_on_panic, zeta.stop_timeout), (2, true, Duration::ZERO));
    assert_eq!(alpha.program, bench.root().join("path/tool"));
    assert_eq!((watch.role(), plain.role()), (Role::Service, Role::Task));
    assert_eq!(zeta.starts_after, [1, 2], "what it feeds, and the service");
    assert_eq!(alpha.starts_after, [2], "not itself, though it feeds itself");
    assert_eq!((&watch.starts_after[..], &plain.starts_after[..]), (&[][..], &[0, 2][..]));
    assert_eq!(
        (&zeta.stops_after[..], &alpha.stops_after[..], &watch.stops_after[..]),
        (&[3][..], &[][..], &[0, 1, 3][..])
    );
    assert_eq!((&plain.depends_on[..], zeta.significant, plain.significant), (&[0, 2][..], true, false));
    let success = [ExitCode::Code(0), ExitCode::Code(2), ExitCode::Code(3), ExitCode::Signal(15)];
    assert_eq!(zeta.exits.success.iter().copied().collect::<Vec<_>>(), success);
    assert_eq!(zeta.exits.fatal.len(), 5);
    assert!(zeta.exits.fatal.contains(&ExitCode::Code(64)) && zeta.exits.fatal.contains(&ExitCode::Signal(6)));
    assert_eq!(plain.exits, Exits::default());
    let [crowd, alone] = plan.groups.as_slice() else { panic!("{:?}", plan.groups) };
    assert_eq!((&crowd.stages[..], crowd.strategy), (&[0, 3, 1][..], Strategy::RestForOne));
    assert_eq!((crowd.max_restarts, crowd.restart_period), (Some(9), Duration::from_secs(600)));
    assert_eq!((alone.strategy, alone.max_restarts), (Strategy::OneForOne, None));
    assert_eq!(plan.loops.len(), 1);
    assert_eq!((&plan.loops[0].stages[..], &plan.loops[0].queues[..]), (&[1][..], &[1][..]));
}

#[test]
fn a_printed_plan_is_read_to_the_same_plan() {
    let bench = Bench::new();
    for text in [CHECKSUM, EVERYTHING] {
        let plan = bench.load(text).unwrap();
        let printed = print::print(&plan);
        let again = bench.load(&printed).unwrap_or_else(|faults| panic!("{faults}\n{printed}"));
        assert_eq!(json(&again), json(&plan), "{printed}");
        assert_eq!(print::print(&again), printed);
    }
}

#[test]
fn all_faults_are_shown_at_once_each_in_its_place() {
    let bench = Bench::new();
    let text = CHECKSUM
        .replace("capacity = 1024 ", "capcity = 0 ")
        .replace("\"1KiB\"", "1024")
        .replace("${dir}", "${dri}")
        .replace("inputs = [\"sums\"]", "inputs = [\"sms\"]")
        .replace("[\"hash\"]", "[\"hsah\"]");
    let shown = bench.load(&text).unwrap_err().to_string().replace(&bench.root().display().to_string(), "ROOT");
    let expected = r#"fault: unknown key "capcity" in queue "paths"
 --> ../files/p.toml:8:1
  |
8 | capcity = 0                # items; everything that is not free counts
  | ^^^^^^^
  |
  = help: did you mean "capacity"?

fault: capacity is less than 1
 --> ../files/p.toml:8:11
  |
8 | capcity = 0                # items; everything that is not free counts
  |           ^
  |
  = help: it may be 1 to 16777216, and is 1024 by default

fault: item_bytes has no unit
 --> ../files/p.toml:9:14
  |
9 | item_bytes = 1024            # room inline
  |              ^^^^
  |
  = help: write "1024B", in quotes: a size is a whole number and a unit (B, KiB, MiB, GiB, KB, MB, GB), such as "64KiB"

fault: unknown var ${dri}
  --> ../files/p.toml:16:21
   |
16 | command = ["walk", "${dri}"]
   |                     ^^^^^^
   |
   = help: did you mean "dir"?

fault: no program "hsah" beside brigade, in ROOT/bin, nor in PATH
  --> ../files/p.toml:20:12
   |
20 | command = ["hsah"]
   |            ^^^^^^
   |
   = help: did you mean "hash"?

fault: unknown queue "sms" in inputs
  --> ../files/p.toml:28:11
   |
28 | inputs = ["sms"]
   |           ^^^^^
   |
   = help: did you mean "sums"?

6 faults in ../files/p.toml"#;
    assert_eq!(shown, expected);
}

#[test]
fn a_set_that_the_file_does_not_know_is_a_fault_before_all_others() {
    let bench = Bench::new();
    let faults = bench.load_with(&CHECKSUM.replace("[\"hash\"]", "[]"), &[("dirs", "/")]).unwrap_err().to_string();
    assert!(
        faults.starts_with(
            "fault: --set dirs=… names no var of the file\n--> ../files/p.toml\n = help: did you mean \"dir\"?\n\n\
             fault: command is empty\n"
        ),
        "{faults}"
    );
}

#[test]
fn a_var_may_stand_for_any_value() {
    let bench = Bench::new();
    let text = "name = '${n}'\n[vars]\nn = 'p'\nk = '2'\nt = '3s'\n[stages.walk]\ncommand = ['${w}']\nreplicas = '${k}'\n\
                stop_timeout = '${t}'\n";
    let text = text.replace("k = '2'", "k = '2'\nw = 'walk'");
    let plan = bench.load_with(&text, &[("k", "4")]).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!((plan.name.as_str(), plan.stages[0].replicas), ("p", 4));
    assert_eq!(plan.stages[0].stop_timeout, Duration::from_secs(3));
    let faults = bench.load_with(&text, &[("k", "many")]).unwrap_err().to_string();
    assert!(faults.contains("replicas must be a whole number or \"cpus\", not \"many\""), "{faults}");
}

#[test]
fn a_file_with_any_one_character_wrong_is_read_or_refused_with_a_place() {
    let bench = Bench::new();
    let wrong = ["", "é", "\"", "[", "\n", "9", "${"];
    let mut refused = 0;
    for text in [CHECKSUM, EVERYTHING] {
        for (at, typed) in text.char_indices() {
            let mutilated = format!("{}{}{}", &text[..at], wrong[at % wrong.len()], &text[at + typed.len_utf8()..]);
            let Err(faults) = bench.load(&mutilated) else { continue };
            refused += 1;
            assert!(!faults.list().is_empty());
            let shown = faults.to_string();
            for fault in faults.list() {
                let (line, column) = faults.position(fault).expect("each has a place");
                assert!(shown.contains(&format!("p.toml:{line}:{column}\n")), "{line}:{column} in\n{shown}");
                assert!(fault.help.is_some(), "{fault:?}");
            }
        }
    }
    assert!(refused > 500, "only {refused} were refused");
}
