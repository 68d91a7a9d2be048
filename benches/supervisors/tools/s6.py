"""s6, from Debian."""

import os
import re
import shlex
from pathlib import Path

from .tool import Foreground


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


class S6(Foreground):
    name = "s6"
    install = "apt-get install s6"
    binary = Path("s6-svscan")
    default_stop = "TERM and CONT, no KILL"

    def version(self, ground):
        return ground.ask(["dpkg-query", "-W", "-f", "${Version}", "s6"])

    def set_up(self, ground, programs, misspelt=False):
        for program in programs:
            place = ground.folder / "scan" / program.name
            script(place / "run", f"exec {shlex.join(program.argv)}")
            script(place / "log/run", f"exec s6-log t {ground.folder}/{program.name}.logs")
            if program.once:
                script(place / "finish", "exit 125")
            if program.patience is not None:
                (place / "timeout-kill").write_text(f"{1000 * program.patience}\n")
            if misspelt:
                (place / "timeout-kil").write_text("2000\n")
        return True

    def argv(self, ground):
        return [self.binary, "scan"]

    def stop(self, ground, programs):
        for program in programs:
            ground.ask(["s6-svc", "-d", f"scan/{program.name}"])

    def state(self, ground, program):
        return re.sub(r"\(.*?\) ?", "", ground.ask(["s6-svstat", f"scan/{program.name}"]))

    def logs(self, ground, program):
        return (file for file in ground.folder.glob(f"{program.name}.logs/*") if os.path.basename(file)[0] in "@c")
