"""circus, from PyPI."""

import shlex

from .tool import PIP, VENV, Foreground


class Circus(Foreground):
    name = "circus"
    install = PIP
    binary = VENV / "circusd"
    default_stop = "TERM, 30 s, KILL"

    def set_up(self, ground, programs, misspelt=False):
        text = (
            "[circus]\nendpoint = ipc://circus.endpoint\npubsub_endpoint = ipc://circus.pubsub\n"
            "check_delay = 5\n"
        )
        for program in programs:
            text += (
                f"[watcher:{program.name}]\ncmd = {shlex.join(program.argv)}\ncopy_env = True\n"
                f"stdout_stream.class = FileStream\nstdout_stream.filename = {program.name}.out\n"
            )
            if program.once:
                text += "respawn = False\n"
            if program.patience is not None:
                text += f"graceful_timeout = {program.patience}\n"
            if misspelt:
                text += "graceful_timeuot = 2\n"
        (ground.folder / "circus.ini").write_text(text)
        return True

    def argv(self, ground):
        return [self.binary, "circus.ini"]

    def ask(self, ground, *words):
        return ground.ask([VENV / "circusctl", "--endpoint", "ipc://circus.endpoint", "--timeout", "50", *words])

    def stop(self, ground, programs):
        self.ask(ground, "stop", "--waiting")

    def state(self, ground, program):
        return self.ask(ground, "status")

    def logs(self, ground, program):
        return ground.folder.glob(f"{program.name}.out*")
