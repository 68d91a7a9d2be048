//! The sandbox: a folder with everything that one test's pipeline touches, and the commands that are run on it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::ledger::Ledger;
use crate::run::Run;

/// What a command said.
#[derive(Debug)]
pub struct Said {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

/// A folder of its own for a pipeline file, a state folder and a ledger. Gone when it is dropped.
#[derive(Debug)]
pub struct Sandbox {
    folder: TempDir,
}

impl Sandbox {
    /// An empty one, with a short path: sockets lie in it.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    #[expect(clippy::new_without_default, reason = "it makes a folder")]
    pub fn new() -> Self {
        crate::folder();
        Self { folder: tempfile::Builder::new().prefix("brigade-").tempdir().expect("a temporary folder") }
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The state folder that [`Sandbox::run`] uses.
    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// Writes a file into it.
    ///
    /// # Panics
    ///
    /// When that fails.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).expect("a file in the sandbox can be written");
        path
    }

    /// The ledger, to which workers write that have `env = { LEDGER = "${ledger}" }` in their stage.
    pub fn ledger(&self) -> Ledger {
        Ledger::at(&self.path("ledger"))
    }

    /// Writes the pipeline file. `${ledger}` and `${here}` (the sandbox) can be used in it.
    pub fn pipeline(&self, text: &str) -> PathBuf {
        let ledger = self.path("ledger").display().to_string();
        let here = self.folder.path().display().to_string();
        self.write("pipeline.toml", text.replace("${ledger}", &ledger).replace("${here}", &here))
    }

    /// The command `brigade` with these arguments, in the sandbox, and with no environment that could reach out of it.
    pub fn brigade<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(crate::binary("brigade"));
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"BRIGADE_") {
                command.env_remove(name);
            }
        }
        command.env("HOME", self.folder.path()).env_remove("XDG_STATE_HOME").env_remove("RUST_LOG").env("LC_ALL", "C");
        command
    }

    /// Starts `brigade run` on this pipeline.
    pub fn run(&self, text: &str) -> Run {
        self.run_with(text, |_| {})
    }

    /// The same, with more arguments or environment.
    pub fn run_with(&self, text: &str, more: impl FnOnce(&mut Command)) -> Run {
        let mut command = self.run_command(text);
        more(&mut command);
        Run::start(command, self)
    }

    /// The command of [`Sandbox::run`].
    pub fn run_command(&self, text: &str) -> Command {
        let mut command = self.brigade(["run"]);
        command.arg(self.pipeline(text)).arg("--state-dir").arg(self.state());
        command.arg("--report").arg(self.path("report.json"));
        command
    }

    /// Runs a command on the state folder to its end, such as `["status", "--json"]`.
    pub fn ask(&self, args: &[&str]) -> Said {
        let mut command = self.brigade(args);
        command.arg("--state-dir").arg(self.state());
        Self::say(command)
    }

    /// Stops the run by `brigade stop`, which must say that it worked, whether or not items are left.
    ///
    /// # Panics
    ///
    /// When it does not.
    #[track_caller]
    pub fn stop(&self, how: &str) {
        let said = self.ask(&["stop", how]);
        assert!(matches!(said.code, Some(0 | 4)), "brigade stop {how} said: {}{}", said.out, said.err);
    }

    /// Runs any command to its end.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn say(mut command: Command) -> Said {
        let output = command.output().expect("the command starts");
        Said {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
