//! Faults of form: what cannot be read, wrong names, wrong types.

use std::path::Path;

use super::Bench;
use crate::config::load;

#[test]
fn a_file_that_cannot_be_read_is_a_fault_with_words() {
    let bench = Bench::new();
    let missing = load(Path::new("no.toml"), &[], &bench.here).unwrap_err().to_string();
    assert_eq!(
        missing,
        "fault: cannot read the pipeline file: No such file or directory (os error 2)\n--> no.toml\n \
         = help: give the path of a pipeline file, such as examples/checksum/pipeline.toml\n\n1 fault in no.toml"
    );
    let folder = load(Path::new("."), &[], &bench.here).unwrap_err().to_string();
    assert!(folder.contains("Is a directory") && folder.contains("the pipeline file in this folder"), "{folder}");
    std::fs::write(bench.here.cwd.join("latin.toml"), b"# a\nname = '\xe9'\n").unwrap();
    let latin = load(Path::new("latin.toml"), &[], &bench.here).unwrap_err().to_string();
    assert!(latin.contains("not UTF-8 text: line 2, byte 12 of the file"), "{latin}");
}

#[test]
fn what_is_not_toml_is_told_alone() {
    let bench = Bench::new();
    let faults = bench.faults("nam = 'p'\n[stages.walk\ncommand = 1\n");
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].starts_with("2:13 not TOML: "), "{faults:?}");
    let twice = bench.faults("name = 'p'\nname = 'q'\n");
    assert_eq!(twice, ["2:1 not TOML: duplicate key (the rest of the file is read once this is mended)"]);
}

#[test]
fn a_pipeline_needs_a_name_and_a_stage() {
    let bench = Bench::new();
    let no_stages = "(write [stages.NAME] and below it command = [\"program\", \"argument\"])";
    let no_name = "(begin the file with a line such as name = \"checksum\")";
    let both =
        [format!("1:1 the pipeline has no name {no_name}"), format!("1:1 the pipeline has no stages {no_stages}")];
    assert_eq!(bench.faults(""), both);
    assert_eq!(bench.faults("name = 'p'\n[stages]\n"), [format!("2:1 the pipeline has no stages {no_stages}")]);
    let commented = bench.faults("\n# a comment\n[stages.walk]\ncommand = ['walk']\n");
    assert_eq!(commented, [format!("2:1 the pipeline has no name {no_name}")]);
}

#[test]
fn bad_names_are_faults() {
    let bench = Bench::new();
    let help = "(a name is 1 to 64 of the letters a to z and A to Z, digits, - and _, and does not begin with -)";
    let long = "x".repeat(65);
    let faults = bench.faults(&format!(
        "name = '../p'\n[stages.'a b']\ncommand = ['walk']\n[stages.{long}]\ncommand = ['walk']\n[stages.-x]\n\
         command = ['walk']\n[stages.manager]\ncommand = ['walk']\n"
    ));
    let expected = [
        format!("1:8 pipeline \"../p\" has a name that cannot be used {help}"),
        format!("2:9 stage \"a b\" has a name that cannot be used {help}"),
        format!("4:9 stage \"{long}\" has a name that cannot be used {help}"),
        format!("6:9 stage \"-x\" has a name that cannot be used {help}"),
        "8:9 stage \"manager\" has the name of the part that holds shared lists and maps (give the stage another name)"
            .to_owned(),
    ];
    assert_eq!(faults, expected);
    assert_eq!(bench.queue_faults("[queues.'']").len(), 2, "a bad name, and no sender and receiver");
}

#[test]
fn wrong_types_are_faults_that_show_the_right_form() {
    let bench = Bench::new();
    let faults = bench.stage_faults(
        "replicas = 'four'\nthreads = '4'\nenv = 'A=1'\ncwd = 1\nmax_restarts = 'unlimted'\nbackoff = 100\n\
         start_timeout = 'soon'\nstop_timeout = '5min'\nreplica = 2\ninputs = 'q'",
    );
    let times = "a duration is whole numbers, each with a unit (ms, s, m, h, d), such as \"500ms\" or \"1h 30m\"";
    let expected = [
        "4:12 replicas must be a whole number or \"cpus\", not \"four\" (such as 4)".to_owned(),
        "5:11 threads must be a whole number, not a string (write 4 without quotes)".to_owned(),
        "6:7 env must be a table of strings, not a string (write env = { NAME = \"value\" })".to_owned(),
        "7:7 cwd must be a string, not an integer (put the value in quotes)".to_owned(),
        "8:16 max_restarts must be a whole number or \"unlimited\", not \"unlimted\" (did you mean \"unlimited\"?)"
            .to_owned(),
        format!("9:11 backoff has no unit (write \"100s\", in quotes: {times})"),
        format!("10:17 start_timeout is not a number with a unit ({times})"),
        format!("11:16 stop_timeout has the unknown unit \"min\" ({times})"),
        "12:1 unknown key \"replica\" in stage \"walk\" (did you mean \"replicas\"?)".to_owned(),
        "13:10 inputs must be a list of strings, not a string (write inputs = [\"q\"])".to_owned(),
    ];
    assert_eq!(faults, expected);
}

#[test]
fn tables_of_the_wrong_kind_are_faults() {
    let bench = Bench::new();
    let faults = bench.faults("name = 1\nstages = 1\nqueues = { q = 2 }\nvars = 3\n");
    let expected = [
        "1:8 name must be a string, not an integer (put the value in quotes)",
        "2:10 stages must be a table, not an integer (write one [stages.NAME] for each stage)",
        "3:12 queue \"q\" is used by no stage (remove it, or name it in the outputs of one stage and the inputs of another)",
        "3:16 queue \"q\" must be a table, not an integer (write [queues.q] and its keys below)",
        "4:8 vars must be a table, not an integer (write [vars] and below it lines such as dir = \".\")",
    ];
    assert_eq!(faults, expected);
    let array = bench.faults("name = 'p'\n[[stages]]\ncommand = ['walk']\n");
    assert_eq!(array.len(), 1, "{array:?}");
    assert!(array[0].contains("stages must be a table, not an array"), "{array:?}");
    let huge = bench.queue_faults("capacity = 99999999999999999999");
    assert_eq!(huge, ["9:12 capacity is too large a number (such as 4)"]);
}
