"""Brigade: stages without queues."""

import json

from .tool import TARGET, Foreground


class Brigade(Foreground):
    name = "Brigade"
    install = "cargo build --release -p brigade"
    binary = TARGET / "release/brigade"
    default_stop = "TERM, 10 s, KILL"

    def set_up(self, ground, programs, misspelt=False):
        text = 'name = "trial"\n'
        for program in programs:
            text += f"[stages.{program.name}]\ncommand = {json.dumps(program.argv)}\n"
            text += f'restart = "{"temporary" if program.once else "permanent"}"\n'
            text += 'give_up_after = "0s"\n'
            if program.patience is not None:
                text += f'stop_timeout = "{program.patience}s"\n'
            if misspelt:
                text += 'stop_timeuot = "2s"\n'
        (ground.folder / "pipeline.toml").write_text(text)
        return True

    def argv(self, ground):
        return [self.binary, "run", "pipeline.toml", "--state-dir", "state"]

    def stop(self, ground, programs):
        ground.ask([self.binary, "stop", "--state-dir", "state"])

    def state(self, ground, program):
        if ground.process.poll() is not None:
            gave_up = [line for line in ground.said.read_text().splitlines() if "gave up on" in line]
            return f"ends with code {ground.process.returncode}" + (", “gave up”" if gave_up else "")
        status = json.loads(ground.ask([self.binary, "status", "--state-dir", "state", "--json"]))
        return status["stages"][0]["workers"][0]["state"]

    def logs(self, ground, program):
        return ground.folder.glob(f"state/logs/{program.name}.log*")
