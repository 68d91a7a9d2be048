"""runit, from Debian."""

import shlex
import signal
from pathlib import Path

from .s6 import script
from .tool import Foreground


class Runit(Foreground):
    name = "runit"
    install = "apt-get install runit"
    binary = Path("runsvdir")
    default_stop = "TERM and CONT, no KILL"
    ends_by = signal.SIGHUP

    def version(self, ground):
        return ground.ask(["dpkg-query", "-W", "-f", "${Version}", "runit"])

    def set_up(self, ground, programs, misspelt=False):
        for program in programs:
            place = ground.folder / "scan" / program.name
            script(place / "run", f"exec {shlex.join(program.argv)}")
            script(place / "log/run", f"mkdir -p {ground.folder}/{program.name}.logs; exec svlogd {ground.folder}/{program.name}.logs")
            if program.once:
                script(place / "finish", "sv once .")
        ground.patience = programs[0].patience
        return not misspelt

    def argv(self, ground):
        return [self.binary, "scan"]

    def stop(self, ground, programs):
        how = ["stop"] if ground.patience is None else ["-w", str(ground.patience), "force-stop"]
        ground.ask(["sv", *how, *(f"./scan/{program.name}" for program in programs)])

    def state(self, ground, program):
        return ground.ask(["sv", "status", f"./scan/{program.name}"]).split(":")[0]

    def logs(self, ground, program):
        return (file for file in ground.folder.glob(f"{program.name}.logs/*") if file.name[0] in "@c")
