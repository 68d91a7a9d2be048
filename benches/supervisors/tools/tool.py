"""What every tool can be asked for, and where it was installed to."""

import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TARGET = ROOT / "target"
VENV = TARGET / "supervisors/venv/bin"
NPM = TARGET / "supervisors/npm/node_modules/.bin"

PIP = "python3 -m venv target/supervisors/venv && target/supervisors/venv/bin/pip install supervisor circus honcho"


@dataclass
class Program:
    """What the tool is to run."""

    name: str
    argv: list
    #: It is not to be started again when it has ended.
    once: bool = False
    #: Seconds between TERM and KILL; None: the tool's default.
    patience: int = None


class Tool:
    """A process manager. A subclass says how it is installed, set up, asked and stopped."""

    name = ""
    install = ""
    binary = Path()
    #: What a stop does by default, in words.
    default_stop = ""
    #: What ends the manager and all that it has started.
    ends_by = signal.SIGTERM

    def is_missing(self):
        return not (self.binary.exists() or shutil.which(str(self.binary)))

    def version(self, ground):
        return ground.ask([self.binary, "--version"])

    def set_up(self, ground, programs, misspelt=False):
        """Writes the configuration. `misspelt`: with the key of the stop timeout spelt wrongly; False if it has none."""
        raise NotImplementedError

    def start(self, ground):
        """Starts the manager, as it would be from a shell."""
        raise NotImplementedError

    def manager(self, ground):
        """Pid of the manager; None if there is none."""
        raise NotImplementedError

    def stop(self, ground, programs):
        """Has all programs stopped, and waits as long as the tool does."""
        raise NotImplementedError

    def state(self, ground, program):
        """What the tool says of the program, in one line."""
        raise NotImplementedError

    def logs(self, ground, program):
        """Files that hold what the program has said."""
        raise NotImplementedError


class Foreground(Tool):
    """A tool whose manager is the process that was started."""

    def argv(self, ground):
        raise NotImplementedError

    def start(self, ground):
        ground.process = ground.launch(self.argv(ground))

    def manager(self, ground):
        return ground.process.pid if ground.process.poll() is None else None
