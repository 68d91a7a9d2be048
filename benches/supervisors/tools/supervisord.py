"""supervisord, from PyPI."""

import shlex

from .tool import PIP, VENV, Foreground


class Supervisord(Foreground):
    name = "supervisord"
    install = PIP
    binary = VENV / "supervisord"
    default_stop = "TERM, 10 s, KILL"

    def set_up(self, ground, programs, misspelt=False):
        text = (
            "[supervisord]\nlogfile=supervisord.log\npidfile=supervisord.pid\nnodaemon=true\n"
            "[unix_http_server]\nfile=supervisor.sock\n[supervisorctl]\nserverurl=unix://supervisor.sock\n"
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
        )
        for program in programs:
            text += f"[program:{program.name}]\ncommand={shlex.join(program.argv)}\nstdout_logfile={program.name}.out\n"
            if program.once:
                text += "autorestart=false\n"
            if program.patience is not None:
                text += f"stopwaitsecs={program.patience}\n"
            if misspelt:
                text += "stopwaitsesc=2\n"
        (ground.folder / "supervisord.conf").write_text(text)
        return True

    def argv(self, ground):
        return [self.binary, "-c", "supervisord.conf"]

    def ask(self, ground, *words):
        return ground.ask([VENV / "supervisorctl", "-c", "supervisord.conf", *words])

    def stop(self, ground, programs):
        self.ask(ground, "stop", "all")

    def state(self, ground, program):
        return self.ask(ground, "status").split()[1]

    def logs(self, ground, program):
        return ground.folder.glob(f"{program.name}.out*")
