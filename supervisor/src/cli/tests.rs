//! The command line as people type it.

use super::*;

fn parse(line: &str) -> Result<Command, clap::Error> {
    Cli::try_parse_from(line.split(' ')).map(|cli| cli.command)
}

#[test]
fn the_definition_is_sound() {
    command().debug_assert();
}

#[test]
fn every_command_is_understood() {
    for line in [
        "brigade run p.toml",
        "brigade run p.toml --set a=b --set c=d --state-dir /x --fresh --report r.json -q",
        "brigade check p.toml --set a=b --print",
        "brigade status",
        "brigade status --json -p checksum",
        "brigade status --state-dir /x",
        "brigade logs",
        "brigade logs hash/0 -f -n 10 --since 10m --level warn --grep a|b --json -p checksum",
        "brigade logs --pipeline checksum --since 2h --until 1h",
        "brigade events",
        "brigade events -f --json -p checksum",
        "brigade stop",
        "brigade stop --now -p checksum",
        "brigade stop --kill --no-wait --state-dir /x",
        "brigade wait --for ready",
        "brigade wait --for stopped --timeout 30s -p checksum",
        "brigade wait --timeout 500ms --for drained --state-dir /x",
        "brigade pause hash -p checksum",
        "brigade resume hash --state-dir /x",
        "brigade restart hash",
        "brigade restart hash/2 --rolling -p checksum",
        "brigade signal web HUP",
        "brigade signal hash/2 SIGUSR1 --group -p checksum",
        "brigade signal hash 12 --state-dir /x",
        "brigade dead list",
        "brigade dead list hash --json -p checksum",
        "brigade dead show paths:0001000000000007 --json --state-dir /x",
        "brigade dead retry 0001000000000007 paths:8 -p checksum",
        "brigade dead retry --all",
        "brigade dead retry --all paths -p checksum",
        "brigade dead drop 7",
        "brigade shared",
        "brigade shared words --json -p wordcount",
        "brigade completions bash",
        "brigade man",
        "brigade manager",
    ] {
        if let Err(error) = parse(line) {
            panic!("{line}: {error}");
        }
    }
}

#[test]
fn the_arguments_of_run_reach_it() {
    let Ok(Command::Run(run)) = parse("brigade run p.toml --set a=b --report r.json --fresh -q --state-dir /x") else {
        panic!("it is a run")
    };
    assert_eq!(run.file.to_str(), Some("p.toml"));
    assert_eq!(run.sets.pairs, [("a".to_owned(), "b".to_owned())]);
    assert_eq!((run.report.as_deref(), run.state_dir.as_deref()), (Some("r.json".as_ref()), Some("/x".as_ref())));
    assert!(run.fresh && run.quiet);
}

#[test]
fn wrong_usage_ends_with_2() {
    for line in [
        "brigade",
        "brigade dance",
        "brigade run",
        "brigade run p.toml q.toml",
        "brigade run p.toml --set a",
        "brigade check p.toml --fresh",
        "brigade status -p x --state-dir y",
        "brigade stop --now --kill",
        "brigade pause",
        "brigade resume",
        "brigade restart",
        "brigade restart hash/",
        "brigade signal",
        "brigade signal web",
        "brigade signal web HUPP",
        "brigade signal web/x HUP",
        "brigade wait",
        "brigade wait --for lunch",
        "brigade wait --for ready --timeout 30",
        "brigade logs --level loud",
        "brigade logs -f --until 1h",
        "brigade dead",
        "brigade dead show",
        "brigade dead show seven",
        "brigade dead retry",
        "brigade dead retry 7 --all",
        "brigade dead drop",
        "brigade completions cobol",
    ] {
        let error = parse(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
    assert_eq!(parse("brigade --version").expect_err("printed").exit_code(), 0);
    assert_eq!(parse("brigade run --help").expect_err("printed").exit_code(), 0);
}

#[test]
fn every_command_says_what_it_does_and_shows_an_example() {
    for command in command().get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = command.get_name();
        let about = command.get_about().unwrap_or_default().to_string();
        assert!(about.starts_with(char::is_uppercase) && about.len() < 80 && !about.ends_with('.'), "{name}: {about}");
        let example = command.get_after_help().unwrap_or_default().to_string();
        assert!(example.contains(&format!("Examples:\n  brigade {name}")), "{name}: {example}");
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{name}: {} has no help", argument.get_id());
        }
    }
}

#[test]
fn the_hidden_command_is_not_in_the_help() {
    let help = command().render_long_help().to_string();
    assert!(help.contains("completions") && !help.contains("manager"), "{help}");
}
