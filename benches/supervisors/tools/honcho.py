"""honcho, from PyPI. It has no command to stop: a signal is all that it hears."""

import shlex
import signal

from ground import send, until
from .tool import PIP, VENV, Foreground


class Honcho(Foreground):
    name = "honcho"
    install = PIP
    binary = VENV / "honcho"
    default_stop = "TERM; KILL 5 s after one has ended"

    def set_up(self, ground, programs, misspelt=False):
        lines = [f"{program.name}: {shlex.join(program.argv)}\n" for program in programs]
        (ground.folder / "Procfile").write_text("".join(lines))
        return not misspelt

    def argv(self, ground):
        return [self.binary, "start"]

    def stop(self, ground, programs):
        send(ground.process.pid, signal.SIGTERM)
        until(lambda: ground.process.poll() is not None, 40)

    def state(self, ground, program):
        code = ground.process.poll()
        return "runs on" if code is None else f"ends with code {code}"

    def logs(self, ground, program):
        return [ground.said]
