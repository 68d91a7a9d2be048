//! A run of `brigade run`: its signals, its end, its numbers. Nothing of it outlives the test, and a test that fails
//! shows what the supervisor said.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use serde_json::Value;

use crate::proc::{Process, processes_of};
use crate::sandbox::Sandbox;
use crate::until::{nap, until, until_some};

/// The numbers that `--report` wrote.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names are those of the contract")]
pub struct Report {
    pub pipeline: String,
    pub verdict: String,
    pub exit_code: i32,
    pub elapsed_s: f64,
    pub stages: BTreeMap<String, StageNumbers>,
    pub queues: BTreeMap<String, QueueNumbers>,
    pub lost: i64,
    #[serde(default)]
    pub standstill: Option<String>,
    #[serde(default)]
    pub put_aside: Vec<String>,
}

/// Of a stage.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names are those of the contract")]
pub struct StageNumbers {
    pub processed: u64,
    pub restarts: u64,
}

/// Of a queue.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names are those of the contract")]
pub struct QueueNumbers {
    pub sent: u64,
    pub acked: u64,
    pub redelivered: u64,
    pub left: u64,
    pub dead: u64,
    pub kept: u64,
}

/// A run that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// All that it wrote to standard output.
    pub out: String,
    /// All that it wrote to standard error.
    pub err: String,
    report: PathBuf,
}

impl Ended {
    /// The numbers, which must have been written.
    ///
    /// # Panics
    ///
    /// When they were not, or do not fit the contract.
    #[track_caller]
    pub fn report(&self) -> Report {
        let text = std::fs::read_to_string(&self.report)
            .unwrap_or_else(|error| panic!("there is no report ({error}); the supervisor said:\n{}", self.err));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in the report {text}"))
    }

    /// Checks the exit code, and gives the numbers.
    ///
    /// # Panics
    ///
    /// If it is another one, or if items were lost.
    #[track_caller]
    pub fn with_code(&self, code: i32) -> Report {
        assert_eq!(
            (self.code, self.signal),
            (Some(code), None),
            "exit code and signal are not those expected; it said:\n{}",
            self.err
        );
        let report = self.report();
        assert_eq!(report.exit_code, code, "the report says another exit code");
        assert_eq!(report.lost, 0, "items were lost: {report:?}");
        report
    }
}

/// A run that may still be going on. Dropped, it is killed, and all its workers and theirs.
#[derive(Debug)]
pub struct Run {
    child: Child,
    ended: Option<ExitStatus>,
    state: PathBuf,
    out: PathBuf,
    err: PathBuf,
    report: PathBuf,
}

impl Run {
    /// Starts the command; what it says goes to files of the sandbox.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start(mut command: Command, sandbox: &Sandbox) -> Self {
        let (out, err, report) = (sandbox.path("run.out"), sandbox.path("run.err"), sandbox.path("report.json"));
        let _ = std::fs::remove_file(&report);
        command.stdout(File::create(&out).expect("a file")).stderr(File::create(&err).expect("a file"));
        let child = command.spawn().expect("brigade starts");
        Self { child, ended: None, state: sandbox.state(), out, err, report }
    }

    /// Watches a process that was started in another way, with streams of its own.
    pub fn watch(child: Child, sandbox: &Sandbox) -> Self {
        let (out, err, report) = (sandbox.path("run.out"), sandbox.path("run.err"), sandbox.path("report.json"));
        Self { child, ended: None, state: sandbox.state(), out, err, report }
    }

    /// Of the supervisor.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("pids are small")
    }

    /// Sends a signal to the supervisor.
    ///
    /// # Panics
    ///
    /// When it is gone.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("the supervisor is there");
    }

    /// Whether it is still there.
    ///
    /// # Panics
    ///
    /// When that cannot be known.
    pub fn is_running(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("a child can be waited for");
        }
        self.ended.is_none()
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// When it does not come.
    #[track_caller]
    pub fn wait(&mut self) -> Ended {
        until("the run has ended", || !self.is_running());
        let status = self.ended.expect("it has ended");
        Ended {
            code: status.code(),
            signal: status.signal(),
            out: read(&self.out),
            err: self.said(),
            report: self.report.clone(),
        }
    }

    /// What it has written to standard error so far.
    pub fn said(&self) -> String {
        read(&self.err)
    }

    /// Waits until it has written this to standard error.
    ///
    /// # Panics
    ///
    /// When it never does, or ends without.
    #[track_caller]
    pub fn until_said(&mut self, words: &str) {
        until(&format!("the supervisor says {words:?}"), || {
            let over = !self.is_running();
            let said = self.said().contains(words);
            assert!(said || !over, "it ended and never said {words:?}");
            said
        });
    }

    /// What `brigade status --json` says; `None` while it does not answer.
    pub fn try_status(&self) -> Option<Value> {
        let mut command = Command::new(crate::binary("brigade"));
        command.args(["status", "--json", "--state-dir"]).arg(&self.state);
        let output = command.output().ok()?;
        output.status.success().then(|| serde_json::from_slice(&output.stdout).expect("status --json is JSON"))
    }

    /// What `brigade status --json` says.
    ///
    /// # Panics
    ///
    /// When it never answers.
    #[track_caller]
    pub fn status(&self) -> Value {
        until_some("status answers", || self.try_status())
    }

    /// Waits until the status fits.
    ///
    /// # Panics
    ///
    /// When it never does.
    #[track_caller]
    pub fn until_status(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        until_some(what, || self.try_status().filter(|status| fits(status)))
    }

    /// The worker of this id in the status.
    pub fn worker(&self, id: &str) -> Option<Value> {
        let status = self.try_status()?;
        let stages = status["stages"].as_array()?.clone();
        let mut workers = stages.iter().flat_map(|stage| stage["workers"].as_array().cloned().unwrap_or_default());
        workers.find(|worker| worker["id"] == id)
    }

    /// Waits until a worker is in this state, and gives its pid.
    ///
    /// # Panics
    ///
    /// When it never is.
    #[track_caller]
    pub fn pid_when(&self, id: &str, state: &str) -> i32 {
        let pid = until_some(&format!("{id} is {state}"), || {
            self.worker(id).filter(|worker| worker["state"] == state)?["pid"].as_i64()
        });
        i32::try_from(pid).expect("pids are small")
    }

    /// Its workers, and all that they have started.
    pub fn processes(&self) -> Vec<Process> {
        processes_of(&self.state)
    }

    /// Checks that nothing of it lives. The kernel may take an instant to end what was killed.
    ///
    /// # Panics
    ///
    /// If something does.
    #[track_caller]
    pub fn assert_nobody_left(&self) {
        until("nobody of the run is left", || self.processes().is_empty());
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the supervisor said:\n{}---", read(&self.err));
            eprintln!("--- and lived: {}; left: {:#?}", self.is_running(), self.processes());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        for _ in 0..500 {
            let left = self.processes();
            if left.is_empty() {
                return;
            }
            for process in left {
                let _ = kill(Pid::from_raw(process.pid), Signal::SIGKILL);
            }
            nap();
        }
    }
}

fn read(path: &PathBuf) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
