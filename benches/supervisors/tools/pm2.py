"""PM2, from npm."""

import json
import os
from pathlib import Path

from .tool import NPM, Tool


class Pm2(Tool):
    name = "PM2"
    install = "npm install --prefix target/supervisors/npm pm2"
    binary = NPM / "pm2"
    default_stop = "INT, 1.6 s, KILL"

    def set_up(self, ground, programs, misspelt=False):
        apps = []
        for program in programs:
            app = {"name": program.name, "script": program.argv[0], "args": program.argv[1:], "interpreter": "none"}
            if program.once:
                app["autorestart"] = False
            if program.patience is not None:
                app["kill_timeout"] = 1000 * program.patience
            if misspelt:
                app["kill_timeuot"] = 2000
            apps.append(app)
        (ground.folder / "trial.config.json").write_text(json.dumps({"apps": apps}))
        return True

    def env(self, ground):
        return {"PM2_HOME": str(ground.folder / "pm2"), "PATH": f"{NPM}:{os.environ['PATH']}"}

    def ask(self, ground, *words):
        return ground.ask([self.binary, *words], env=self.env(ground))

    def version(self, ground):
        return (self.ask(ground, "--version").split() or [""])[-1]

    def start(self, ground):
        ground.process = ground.launch([self.binary, "start", "trial.config.json"], env=self.env(ground))

    def manager(self, ground):
        try:
            pid = int((ground.folder / "pm2/pm2.pid").read_text())
        except (OSError, ValueError):
            return None
        return pid if Path(f"/proc/{pid}").exists() else None

    def stop(self, ground, programs):
        self.ask(ground, "stop", "all")

    def state(self, ground, program):
        said = self.ask(ground, "jlist")
        app = json.loads(said[said.index("[{"):])[0]["pm2_env"]
        return f"{app['status']} after {app['restart_time']} restarts"

    def logs(self, ground, program):
        return ground.folder.glob(f"pm2/logs/{program.name}-out*.log")
