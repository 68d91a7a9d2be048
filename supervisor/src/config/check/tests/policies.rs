//! Faults of the policies: exits, order, groups.

use super::Bench;
use crate::config::plan::Strategy;

/// walk → q → hash, report beside them; `lines` come after all of it, from line 13 on.
fn three(lines: &str, walk: &str, hash: &str, report: &str) -> String {
    format!(
        "name = 'p'\n[queues.q]\n[stages.walk]\ncommand = ['walk']\noutputs = ['q']\n{walk}\n[stages.hash]\n\
         command = ['hash']\ninputs = ['q']\n{hash}\n[stages.report]\ncommand = ['report']\n{report}\n{lines}\n"
    )
}

#[test]
fn exits_that_cannot_be_are_faults() {
    let bench = Bench::new();
    let faults = bench.stage_faults(
        "success_codes = [256, -1, 'STOP', 'SIGTRM', '3', true, 4, 4]\nfatal_codes = 'TERM'\nsignificant = 'yes'",
    );
    let names = "HUP, INT, QUIT, ILL, TRAP, ABRT, BUS, FPE, KILL, USR1, SEGV, USR2, PIPE, ALRM, TERM, STKFLT, XCPU, \
                 XFSZ, VTALRM, PROF, IO, PWR, SYS";
    let expected = [
        "4:50 each of success_codes must be a whole number or a string, not a boolean (such as 3 or \"TERM\")",
        "5:15 fatal_codes must be a list, not a string (write fatal_codes = [3, \"TERM\"])",
        "6:15 significant must be true or false, not a string (write significant = true or significant = false)",
    ];
    assert_eq!(faults, expected, "one value of a wrong type hides the rest of its list");
    let faults = bench.stage_faults("success_codes = [256, -1, 'STOP', 'SIGTRM', '3', 4, 4]");
    let expected = [
        "4:18 success_codes holds 256, which is no exit code (an exit code is 0 to 255)".to_owned(),
        "4:23 success_codes holds -1, which is no exit code (an exit code is 0 to 255)".to_owned(),
        format!(
            "4:27 success_codes holds \"STOP\", which is no signal that ends a process (it is a number from 0 to 255 or \
             one of {names})"
        ),
        "4:35 success_codes holds \"SIGTRM\", which is no signal that ends a process (did you mean \"TERM\"?)"
            .to_owned(),
        "4:45 success_codes holds \"3\", which is no signal that ends a process (write 3 without quotes)".to_owned(),
        "4:53 exit code 4 is twice in success_codes (name it once)".to_owned(),
    ];
    assert_eq!(faults, expected);
}

#[test]
fn an_exit_that_means_two_things_is_a_fault() {
    let bench = Bench::new();
    let help =
        "(name it in one of success_codes and fatal_codes; 0 always is a success, 78, 126 and 127 always are fatal)";
    assert_eq!(
        bench.stage_faults("success_codes = [127, 5, 'INT']\nfatal_codes = [0, 5, 'SIGINT']"),
        [
            format!("4:18 exit code 127 would be a success and fatal at once {help}"),
            format!("4:23 exit code 5 would be a success and fatal at once {help}"),
            format!("4:26 signal INT would be a success and fatal at once {help}"),
            format!("5:16 exit code 0 would be a success and fatal at once {help}"),
        ]
    );
}

#[test]
fn a_service_has_no_end_that_could_mean_something() {
    let bench = Bench::new();
    let help = "(write restart = \"transient\", or remove it)";
    assert_eq!(
        bench.stage_faults("restart = 'permanent'\nsignificant = true\nsuccess_codes = [3]"),
        [
            format!(
                "5:15 a service cannot be significant: it is started again after every exit and never ends by itself {help}"
            ),
            format!("6:17 success_codes mean nothing for a service: it is started again after every exit {help}"),
        ]
    );
    let fine = "name = 'p'\n[stages.walk]\ncommand = ['walk']\nrestart = 'permanent'\nsignificant = false\n\
                fatal_codes = [3]\n";
    bench.load(fine).unwrap_or_else(|faults| panic!("{faults}"));
}

#[test]
fn wrong_names_in_depends_on_are_faults() {
    let bench = Bench::new();
    let text = three("", "depends_on = ['reprot', 'hash', 'hash', 'zzz', 'walk']", "", "");
    assert_eq!(
        bench.faults(&text),
        [
            "6:15 unknown stage \"reprot\" in depends_on (did you mean \"report\"?)",
            "6:33 stage \"hash\" is twice in depends_on (name it once)",
            "6:41 unknown stage \"zzz\" in depends_on (declare it with a line [stages.zzz])",
            "6:48 stage \"walk\" depends on itself (remove it from depends_on)",
        ]
    );
}

#[test]
fn wrong_conditions_in_depends_on_are_faults() {
    let bench = Bench::new();
    let list = "{ stage = 'hash', condition = 'complete' }, { stag = 'report' }, { condition = 'ready' }, 4, 'zzz'";
    let text = three("", &format!("depends_on = [{list}]"), "", "");
    assert_eq!(
        bench.faults(&text),
        [
            "6:45 condition cannot be \"complete\" (did you mean \"completed\"?)",
            "6:61 unknown key \"stag\" in an entry of depends_on (did you mean \"stage\"?)",
            "6:80 an entry of depends_on names no stage (write { stage = \"name\", condition = \"completed\" })",
            "6:105 each of depends_on must be a string, not an integer (put the name in quotes, or write \
             { stage = \"name\", condition = \"completed\" })",
        ]
    );
}

#[test]
fn a_stage_that_can_never_have_completed_in_time_is_a_fault() {
    let bench = Bench::new();
    let service = "[stages.db]\ncommand = ['walk']\nrestart = 'permanent'\n";
    let needs = |name: &str| format!("depends_on = [{{ stage = '{name}', condition = 'completed' }}]");
    assert_eq!(
        bench.faults(&three(service, &needs("db"), "", "")),
        ["6:25 stage \"walk\" waits until \"db\" has completed, which is a service and never ends by itself (write \
          condition = \"ready\", or give it restart = \"transient\")"]
    );
    assert_eq!(
        bench.faults(&three("", &needs("hash"), "", "")),
        ["6:25 stage \"walk\" waits until \"hash\" has completed, which takes what \"walk\" sends, and so ends after \
          it (write condition = \"ready\", or remove one of them)"]
    );
    let task = "[stages.migrate]\ncommand = ['walk']\n";
    let plan = bench.load(&three(task, &needs("migrate"), "", "")).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(plan.stages[0].needs_completed, [3]);
}

#[test]
fn stages_that_wait_for_each_other_are_a_fault_with_the_whole_circle() {
    let bench = Bench::new();
    let help = "(a stage starts after those that it depends on and those that it sends to; remove one of them)";
    let by_queue = three("", "", "depends_on = ['walk']", "");
    assert_eq!(
        bench.faults(&by_queue),
        [format!(
            "10:15 stages wait for each other to start: \"hash\" depends on \"walk\", \"walk\" sends to \"hash\" {help}"
        )]
    );
    let long = three("", "", "depends_on = ['report']", "depends_on = ['walk']");
    assert_eq!(
        bench.faults(&long),
        [format!(
            "10:15 stages wait for each other to start: \"hash\" depends on \"report\", \"report\" depends on \"walk\", \
             \"walk\" sends to \"hash\" {help}"
        )],
        "it is told once, and not of every stage in it"
    );
}

#[test]
fn services_that_depend_on_others_are_not_waited_for_by_all() {
    let bench = Bench::new();
    let service = "[stages.db]\ncommand = ['walk']\nrestart = 'permanent'\n[stages.watch]\ncommand = ['walk']\n\
                   restart = 'permanent'\ndepends_on = ['report', 'db']\n";
    let plan = bench.load(&three(service, "", "", "")).unwrap_or_else(|faults| panic!("{faults}"));
    let after: Vec<_> = plan.stages.iter().map(|stage| stage.starts_after.clone()).collect();
    assert_eq!(after, [vec![1, 3], vec![3], vec![3], vec![], vec![2, 3]]);
    let before: Vec<_> = plan.stages.iter().map(|stage| stage.stops_after.clone()).collect();
    assert_eq!(before, [vec![], vec![], vec![4], vec![0, 1, 2, 4], vec![]]);
}

#[test]
fn groups_that_cannot_be_are_faults() {
    let bench = Bench::new();
    let groups = "[groups.a]\nstages = ['walk', 'hsah', 'walk']\nstrategy = 'one-for-al'\n\
                  [groups.b]\nstages = ['report', 'walk']\nmax_restarts = -1\nperiod = '1s'\n\
                  [groups.'c d']\nstages = []\n[groups.d]\nstrategy = 'rest-for-one'\n[groups.e]\nstages = ['nobody']\n\
                  strategy = 'rest-for-one'\n";
    assert_eq!(
        bench.faults(&three(groups, "", "", "")),
        [
            "15:19 unknown stage \"hsah\" in stages (did you mean \"hash\"?)",
            "15:27 stage \"walk\" is twice in stages (name it once)",
            "16:12 strategy cannot be \"one-for-al\" (did you mean \"one-for-all\"?)",
            "18:21 stage \"walk\" is in two groups, \"a\" and \"b\" (a stage goes down with one group at most)",
            "19:16 max_restarts of a group cannot be -1 (it may be 0 to 4294967295, or \"unlimited\", which is the default)",
            "20:1 unknown key \"period\" in group \"b\" (known keys are stages, strategy, max_restarts, restart_period)",
            "21:9 group \"c d\" has a name that cannot be used (a name is 1 to 64 of the letters a to z and A to Z, digits, \
             - and _, and does not begin with -)",
            "22:10 group \"c d\" has no stages (name its stages, or remove the group)",
            "23:9 group \"d\" has no stages (add a line such as stages = [\"one\", \"other\"])",
            "26:11 unknown stage \"nobody\" in stages (declare it with a line [stages.nobody])",
            "27:12 group \"e\" is rest-for-one, and nobody comes after its only stage (name the stages that go down with it \
             after it, or write one-for-all for its workers among themselves)",
        ]
    );
    let faults = bench.faults(&three("[groups]\na = 1\n", "", "", ""));
    assert_eq!(faults, ["15:5 group \"a\" must be a table, not an integer (write [groups.a] and its keys below)"]);
}

#[test]
fn a_strategy_goes_by_its_name() {
    let bench = Bench::new();
    for (name, strategy) in [
        ("one-for-one", Strategy::OneForOne),
        ("one-for-all", Strategy::OneForAll),
        ("rest-for-one", Strategy::RestForOne),
    ] {
        let group = format!("[groups.g]\nstages = ['hash', 'report']\nstrategy = '{name}'\n");
        let plan = bench.load(&three(&group, "", "", "")).unwrap_or_else(|faults| panic!("{faults}"));
        assert_eq!(plan.groups[0].strategy, strategy);
    }
}
