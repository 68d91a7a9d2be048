//! Faults of limits, and what becomes of those that can be had.

use super::Bench;
use crate::config::plan::{Bound, Limits};
use crate::config::print;
use crate::config::rlimit::Rlimit;

fn as_root() -> Bench {
    let mut bench = Bench::new();
    bench.here.euid = 0;
    bench.here.allow_writable = true; // Whoever runs the test owns the folder.
    bench
}

fn limits(bench: &Bench, lines: &str) -> Limits {
    let text = format!(
        "name = 'p'\n[queues.q]\n[stages.walk]\ncommand = ['walk']\noutputs = ['q']\n[stages.hash]\ncommand = ['hash']\n\
         inputs = ['q']\n{lines}\n"
    );
    let plan = bench.load(&text).unwrap_or_else(|faults| panic!("{faults}"));
    let printed = print::print(&plan);
    let again = bench.load(&printed).unwrap_or_else(|faults| panic!("{faults}\n{printed}"));
    assert_eq!(again.stages[1].limits, plan.stages[1].limits, "{printed}");
    plan.stages[1].limits.clone()
}

#[test]
fn limits_that_can_be_had_are_believed_and_printed_so_that_they_are_read_again() {
    let found = limits(
        &as_root(),
        "umask = '027'\nnice = -5\ncpus = '8, 0-1'\nno_new_privs = true\nenv_allow = ['PATH', 'LANG']\n\
         max_rss = '64MiB'\nmemory_max = '1GiB'\nmax_items = 1000\n\
         limits = { nofile = 1024, core = '0B', stack = '8MiB:unlimited', cpu = '1m:90s', nproc = '10:20', as = 'unlimited' }",
    );
    let both = |value| Bound { soft: Some(value), hard: Some(value) };
    let expected = Limits {
        identity: None,
        umask: Some(0o027),
        nice: Some(-5),
        cpus: Some(vec![0, 1, 8]),
        rlimits: [
            (Rlimit::As, Bound { soft: None, hard: None }),
            (Rlimit::Core, both(0)),
            (Rlimit::Cpu, Bound { soft: Some(60), hard: Some(90) }),
            (Rlimit::Nofile, both(1024)),
            (Rlimit::Nproc, Bound { soft: Some(10), hard: Some(20) }),
            (Rlimit::Stack, Bound { soft: Some(8 << 20), hard: None }),
        ]
        .into(),
        no_new_privs: true,
        env_allow: Some(vec!["PATH".into(), "LANG".into()]),
        max_rss: Some(64 << 20),
        memory_max: Some(1 << 30),
        max_items: Some(1000),
    };
    assert_eq!(found, expected);
    assert_eq!(limits(&Bench::new(), ""), Limits::default());
    assert_eq!(limits(&Bench::new(), "env_allow = []").env_allow, Some(Vec::new()), "nothing is not everything");
}

#[test]
fn a_user_brings_its_groups_and_a_number_needs_a_group() {
    let bench = as_root();
    let identity = limits(&bench, "user = 'root'\ngroup = '12345'").identity.expect("an identity");
    assert_eq!((identity.user.expect("a user").uid, identity.gid), (0, 12345));
    assert!(identity.groups.contains(&12345), "{:?}", identity.groups);
    let alone = limits(&bench, "group = 'root'").identity.expect("an identity");
    assert_eq!((alone.user, alone.gid, alone.groups), (None, 0, vec![0]));
    let number = limits(&bench, "user = '4294967294'\ngroup = '7'").identity.expect("an identity");
    assert_eq!((number.user.expect("a user").entry, number.groups), (None, vec![7]));
    assert_eq!(
        bench.stage_faults("user = '4294967294'"),
        [
            "4:8 user 4294967294 is in no user database, so its group is not known (name its group as well: group = \"…\")"
        ]
    );
}

#[test]
fn unknown_users_and_groups_are_faults() {
    let faults = as_root().stage_faults("user = 'rooot'\ngroup = 'no such group at all'");
    let expected = [
        "4:8 unknown user \"rooot\" (did you mean \"root\"?)",
        "5:9 unknown group \"no such group at all\" (make it, or name one that this machine has (/etc/group))",
    ];
    assert_eq!(faults, expected);
}

#[test]
fn what_only_root_may_is_a_fault_for_others() {
    let bench = Bench::new();
    let help = "(run brigade as root, or remove it: workers run as whoever runs brigade)";
    assert_eq!(
        bench.stage_faults("user = 'root'\nnice = -1"),
        [
            format!("4:8 user can be set by root alone, and brigade does not run as root {help}"),
            "5:8 nice is -1, and only root may go below 0 (raise it, or run brigade as root)".to_owned()
        ]
    );
    assert_eq!(
        bench.stage_faults("group = 'root'"),
        [format!("4:9 group can be set by root alone, and brigade does not run as root {help}")]
    );
    assert_eq!(limits(&bench, "nice = 3").nice, Some(3));
}

#[test]
fn limits_that_cannot_be_are_faults() {
    let faults = Bench::new().stage_faults(
        "umask = '028'\nnice = 20\ncpus = '0-3,8'\nno_new_privs = 'yes'\nenv_allow = ['A=B', '']\nmax_rss = '5KiB'\n\
         max_items = 0\nlimits = { nofile = 'many', core = 5, stack = '9MiB:8MiB', cpu = '100ms', nofiles = 1 }",
    );
    let expected = [
        "4:9 umask cannot be \"028\" (it is three octal digits, such as \"027\")",
        "5:8 nice is more than 19 (it may be -20 to 19)",
        "6:8 cpus names cores that are not there, or not for brigade: 3 (it may run on 0-2,8)",
        "7:16 no_new_privs must be true or false, not a string (write no_new_privs = true or no_new_privs = false)",
        "8:14 \"A=B\" cannot be the name of an environment variable (a name is not empty and holds no =)",
        "8:21 \"\" cannot be the name of an environment variable (a name is not empty and holds no =)",
        "9:11 max_rss is less than 1MiB (it may be 1MiB to 64TiB)",
        "9:11 max_rss is for stages with inputs: its worker is replaced between two items (use memory_max, or limits.data)",
        "10:13 max_items is less than 1 (it may be 1 to 9223372036854775807)",
        "10:13 max_items is for stages with inputs: its worker is replaced between two items (remove it)",
        "11:21 limit nofile cannot be \"many\": it is not a number (a number such as 1024, soft and hard such as \"1024:4096\", or \"unlimited\")",
        "11:36 limit core cannot be \"5\": it has a number without a unit (a size such as \"1GiB\", soft and hard such as \"8MiB:64MiB\", or \"unlimited\")",
        "11:47 limit stack cannot be \"9MiB:8MiB\": the soft limit is above the hard one (a size such as \"1GiB\", soft and hard such as \"8MiB:64MiB\", or \"unlimited\")",
        "11:66 limit cpu cannot be \"100ms\": it is no whole number of seconds (whole seconds such as \"90s\", soft and hard such as \"60s:90s\", or \"unlimited\")",
        "11:75 unknown key \"nofiles\" in the limits of stage \"walk\" (did you mean \"nofile\"?)",
    ];
    assert_eq!(faults, expected);
    for cpus in ["", "3-1", "a", "1,,2", "-1", "0-"] {
        let faults = Bench::new().stage_faults(&format!("cpus = '{cpus}'"));
        assert!(faults[0].contains("it is a list of cores and ranges of cores"), "{faults:?}");
    }
}

#[test]
fn root_runs_nothing_that_others_can_change_unless_it_is_told_to() {
    let mut bench = as_root();
    bench.here.allow_writable = false;
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(bench.root().join("bin/walk"), open).expect("set");
    std::fs::write(bench.root().join("files/p.toml"), "").expect("written");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(bench.root().join("files"), open).expect("set");
    let faults = bench.stage_faults("");
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[0].starts_with("- others could change the pipeline file: the folder "), "{faults:?}");
    assert!(faults[1].starts_with("3:12 others could change the program of stage \"walk\": the f"), "{faults:?}");
    assert!(faults.iter().all(|fault| fault.contains("; or run it with --allow-writable")), "{faults:?}");
    bench.here.allow_writable = true;
    limits(&bench, "");
}
