//! Faults of single values: commands, bounds, words.

use super::{Bench, program};

#[test]
fn commands_that_cannot_be_run_are_faults() {
    let bench = Bench::new();
    let faults = |command: &str| bench.faults(&format!("name = 'p'\n[stages.walk]\n{command}\n"));
    assert_eq!(
        faults(""),
        ["2:9 stage \"walk\" has no command (add a line such as command = [\"program\", \"argument\"])"]
    );
    assert_eq!(
        faults("command = 'walk -v dir'"),
        ["3:11 command must be a list of strings, not a string (write command = [\"walk\", \"-v\", \"dir\"])"]
    );
    let form = "(write command = [\"program\", \"argument\"])";
    assert_eq!(faults("command = []"), [format!("3:11 command is empty {form}")]);
    assert_eq!(faults("command = ['']"), [format!("3:12 the program of command is empty {form}")]);
    assert_eq!(
        faults("command = ['walk', 1]"),
        ["3:20 each of command must be a string, not an integer (put the value in quotes)"]
    );
    assert_eq!(
        faults("command = ['readme']"),
        ["3:12 program ROOT/bin/readme is not executable (chmod +x ROOT/bin/readme)"]
    );
    assert_eq!(faults("command = ['./locl']"), ["3:12 no program ROOT/files/locl (did you mean \"./local\"?)"]);
    assert_eq!(
        faults("command = ['../bin']"),
        ["3:12 program ROOT/files/../bin is a folder (name a program that lies in it)"]
    );
    assert_eq!(
        faults("command = ['zzz']"),
        ["3:12 no program \"zzz\" beside brigade, in ROOT/bin, nor in PATH (build or install it, or write its path: \
          a name with a slash starts at the pipeline file)"]
    );
    assert_eq!(
        faults("command = ['walk', \"\\u0000\"]"),
        ["3:20 command holds a NUL, which cannot be handed to a process (remove \\u0000)"]
    );
}

#[test]
fn a_bare_name_is_found_beside_the_binary_before_path() {
    let bench = Bench::new();
    program(&bench.root().join("path/walk"), 0o755);
    program(&bench.root().join("path/readme"), 0o755);
    let of = |name: &str| {
        bench.load(&format!("name = 'p'\n[stages.s]\ncommand = ['{name}']\n")).unwrap().stages[0].program.clone()
    };
    assert_eq!(of("walk"), bench.root().join("bin/walk"));
    assert_eq!(of("readme"), bench.root().join("path/readme"), "one that cannot be run is passed over");
    assert_eq!(of("../bin/hash"), bench.root().join("files/../bin/hash"));
}

#[test]
fn values_out_of_bounds_are_faults() {
    let bench = Bench::new();
    let messages = |faults: Vec<String>| -> Vec<String> {
        faults.iter().map(|fault| fault.split(" (").next().unwrap().to_owned()).collect()
    };
    let queue = bench.queue_faults(
        "capacity = 16777217\nitem_bytes = '15B'\nmax_item_bytes = '2GiB'\nmax_deliveries = 0\n\
         retry_delay = '25h'\nretry_delay_max = '1441m'",
    );
    let expected = [
        "9:12 capacity is more than 16777216",
        "10:14 item_bytes is less than 16B",
        "11:18 max_item_bytes is more than 1GiB",
        "12:18 max_deliveries is less than 1",
        "13:15 retry_delay is more than 1d",
        "14:19 retry_delay_max is more than 1d",
    ];
    assert_eq!(messages(queue), expected);
    let stage = bench.stage_faults(
        "replicas = 0\nthreads = -1\nmax_restarts = -1\nbackoff = '0s'\nstart_timeout = '366d'\nbatch_time = '61s'",
    );
    let expected = [
        "4:12 replicas is less than 1",
        "5:11 threads is less than 1",
        "6:16 max_restarts is less than 0",
        "7:11 backoff is less than 1ms",
        "8:17 start_timeout is more than 365d",
        "9:14 batch_time is more than 1m",
    ];
    assert_eq!(messages(stage), expected);
}

#[test]
fn limits_of_the_logs_that_cannot_be_are_faults() {
    let bench = Bench::new();
    let faults =
        |lines: &str| bench.faults(&format!("name = 'p'\n[stages.walk]\ncommand = ['walk']\n[logs]\n{lines}\n"));
    let expected = [
        "5:14 keep_files is less than 1 (it may be 1 to 100000, and is 20 by default)",
        "6:12 compress must be true or false, not a string (write compress = true or compress = false)",
        "7:12 keep_age is less than 1s (it may be 1s to 365d, and is 30d by default)",
        "8:1 unknown key \"max_files\" in logs (known keys are max_file_bytes, max_file_age, keep_files, keep_age, \
         max_total_bytes, compress, write_timeout)",
    ];
    let found = faults("keep_files = 0\ncompress = 'no'\nkeep_age = '0s'\nmax_files = 3");
    assert_eq!(found, expected);
    let larger = "(the file that is written to is never removed: lower max_file_bytes, or allow more in total)";
    assert_eq!(
        faults("max_total_bytes = '1MiB'"),
        [format!("5:19 max_total_bytes, 1MiB, is less than max_file_bytes, 16MiB {larger}")]
    );
    assert_eq!(bench.faults("name = 'p'\nlogs = 3\n[stages.walk]\ncommand = ['walk']\n").len(), 1);
}

#[test]
fn bad_words_are_faults_that_show_the_good_ones() {
    let bench = Bench::new();
    let faults = bench.stage_faults(
        "restart = 'always'\nstop_signal = 'SIGTRM'\non_panic = 'exti'\ncwd = 'nowhere'\nenv = { '' = 'x', \
         BRIGADE_DOOR = 'x', 'A=B' = 'x', OK = '${x}', N = 1 }",
    );
    let name_help = "(a name is not empty and holds no = and no NUL)";
    let expected = [
        "4:11 restart cannot be \"always\" (it is one of transient, permanent, temporary)".to_owned(),
        "5:15 stop_signal cannot be \"SIGTRM\" (did you mean \"TERM\"?)".to_owned(),
        "6:12 on_panic cannot be \"exti\" (did you mean \"exit\"?)".to_owned(),
        "7:7 cwd ROOT/files/nowhere does not exist (name a folder; a relative path starts at the folder of the \
         pipeline file)"
            .to_owned(),
        format!("8:9 \"\" cannot be the name of an environment variable {name_help}"),
        "8:19 environment variable \"BRIGADE_DOOR\" belongs to the supervisor (use a name without BRIGADE_ in front)"
            .to_owned(),
        format!("8:39 \"A=B\" cannot be the name of an environment variable {name_help}"),
        "8:58 unknown var ${x} (declare it: [vars] and x = \"…\"; or write $${ for a literal ${)".to_owned(),
        "8:69 env.N must be a string, not an integer (put the value in quotes)".to_owned(),
    ];
    assert_eq!(faults, expected);
}
