//! Death of a run in the middle of ending what an earlier one has left: the next one ends the rest.

use brigade_tests::{Sandbox, is_alive, keeper_of, until, until_some};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// One in a session of its own, whose child has no environment and is known by its parent alone.
const BREED: &str = "setsid sh -c 'env -i /bin/sh born.sh & exec sleep 600' & wait";
const BORN: &str = "echo $$ . > born; exec sleep 600";

fn text(script: &str) -> String {
    format!("name = \"task\"\n[stages.only]\ncommand = [\"sh\", \"{script}\"]\n")
}

#[test]
fn kin_killed() {
    for nth in ["kin_killed:1", "kin_killed:2"] {
        let sandbox = Sandbox::new();
        for (name, script) in [("breed.sh", BREED), ("born.sh", BORN), ("nothing.sh", "")] {
            sandbox.write(name, script);
        }
        let mut run = sandbox.run(&text("breed.sh"));
        let child: i32 = until_some("the child is born", || {
            std::fs::read_to_string(sandbox.path("born")).ok()?.strip_suffix(" .\n")?.parse().ok()
        });
        let keeper = until_some("there is a keeper", || keeper_of(run.pid()));
        run.signal(Signal::SIGSTOP);
        until("the supervisor is stopped", || {
            std::fs::read_to_string(format!("/proc/{}/stat", run.pid())).is_ok_and(|stat| stat.contains(") T "))
        });
        kill(Pid::from_raw(keeper), Signal::SIGKILL).expect("it is there");
        run.signal(Signal::SIGKILL);
        run.wait();
        until("its worker is gone", || run.processes().len() == 1);
        assert!(is_alive(child), "it was to outlive them");
        // Not by a `Run`, which would end everyone at its own end.
        let next = |crash: &str| {
            let mut command = sandbox.run_command(&text("nothing.sh"));
            command.env("BRIGADE_CRASH", crash);
            Sandbox::say(command)
        };
        assert_eq!(next(nth).code, None, "it did not die at {nth}");
        let said = next("");
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(!is_alive(child) && run.processes().is_empty(), "somebody is left after a death at {nth}");
    }
}
