#!/usr/bin/env python3
"""Brigade with many workers: how long until all are ready, what they cost, and what happens when all are killed.

    benches/supervisors/scale.py [--workers N] [--json FILE]

Needs `cargo build --release -p brigade -p brigade-benches -p brigade-examples`."""

import argparse
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

from ground import Ground, cpu_ns, memory_kib, send, until
from tools.tool import TARGET

BRIGADE = TARGET / "release/brigade"
SOURCE = TARGET / "release/brigade-benches"
#: A worker as people write them: the one of examples/checksum that hashes files.
WORKER = TARGET / "release/hash"
#: So many times all are killed: what `status` takes meanwhile is a matter of luck, too.
KILLS = 5
#: Seconds at rest over which the processor is measured.
REST = 20
#: Seconds within which all have to be ready.
DEADLINE = 300


def plain(workers):
    """Programs that know nothing of Brigade, and are ready when they have lived for a second."""
    return f'[stages.many]\ncommand = ["sleep", "100000"]\nrestart = "permanent"\nmax_restarts = "unlimited"\nreplicas = {workers}\n'


def sdk(workers):
    """Workers with the SDK that wait for items of one queue, and have another for what they find."""
    return (
        f'[queues.items]\n[queues.found]\n[stages.source]\ncommand = ["{SOURCE}", "worker", "rest", "0"]\n'
        f'outputs = ["items"]\n[stages.many]\ncommand = ["{WORKER}"]\ninputs = ["items"]\noutputs = ["found"]\n'
        f'replicas = {workers}\nmax_restarts = "unlimited"\n'
        f'[stages.sink]\ncommand = ["{SOURCE}", "worker", "sink", "0"]\ninputs = ["found"]\n'
    )


def spread(times):
    times = sorted(times)
    return {"median_ms": 1000 * times[len(times) // 2], "worst_ms": 1000 * times[-1]}


def worst(answers):
    """Of several spreads: the median of the medians, and the worst of all."""
    medians = {name: sorted(one[name] for one in answers)[len(answers) // 2] for name in answers[0] if "median" in name}
    return medians | {name: max(one[name] for one in answers) for name in answers[0] if "worst" in name}


class Run:
    """A run of one pipeline, and what `status` says of it."""

    def __init__(self, ground, stages):
        (ground.folder / "pipeline.toml").write_text(f'name = "scale"\n{stages}')
        self.ground = ground
        self.answers, self.nothings = [], []
        self.begun = time.monotonic()
        self.process = ground.launch([BRIGADE, "run", "pipeline.toml", "--state-dir", "state"])

    def workers(self):
        """What `status` says of the many; nothing before it answers at all."""
        begun = time.monotonic()
        said = self.ground.ask([BRIGADE, "status", "--state-dir", "state", "--json"])
        if not said.startswith("{"):
            return []
        self.answers.append(time.monotonic() - begun)
        status = json.loads(said)
        return next(stage["workers"] for stage in status["stages"] if stage["name"] == "many")

    def ready(self, workers, incarnation):
        """Seconds until all are ready in this incarnation; and how the answers of `status` came meanwhile, and a program that
        does nothing, started again and again at the same time: when a thousand processes die, everybody waits for a turn."""
        self.answers, self.nothings = [], []
        over = threading.Event()
        sampler = threading.Thread(target=self.do_nothing, args=(over,))
        sampler.start()

        def are_ready():
            found = self.workers()
            good = [one for one in found if one["state"] == "ready" and one["incarnation"] >= incarnation]
            return len(good) == workers

        begun = time.monotonic()
        took = until(are_ready, DEADLINE, 0.1)
        assert took is not None, f"not ready within {DEADLINE} s: {self.ground.said.read_text()[-2000:]}"
        took = time.monotonic() - begun
        over.set()
        sampler.join()
        return took, spread(self.answers) | {f"nothing_{name}": value for name, value in spread(self.nothings).items()}

    def kill_all(self, workers, incarnation):
        """Kills all, and waits until all are ready again; what it took. Then a rest, so that the next start waits no longer."""
        pids = [worker["pid"] for worker in self.workers()]
        before = self.cpu_seconds()
        for pid in pids:
            send(pid, signal.SIGKILL)
        took, answers = self.ready(workers, incarnation)
        figures = {"all_ready_s": took, "cpu_s": self.cpu_seconds() - before, "status": answers}
        time.sleep(6)
        return figures

    def do_nothing(self, over):
        while not over.wait(0.02):
            begun = time.monotonic()
            self.ground.ask(["true"])
            self.nothings.append(time.monotonic() - begun)

    def cpu_seconds(self):
        """Of the supervisor so far, with its threads that have ended."""
        words = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def rest(self):
        """Percent of a core that the supervisor and everybody else take at rest."""
        own = {self.process.pid}
        others = self.ground.everyone() - own
        before, before_others, begun = cpu_ns(own), cpu_ns(others), time.monotonic()
        time.sleep(REST)
        per_percent = (time.monotonic() - begun) * 1e7
        return (cpu_ns(own) - before) / per_percent, (cpu_ns(others) - before_others) / per_percent

    def size(self):
        folder = Path(f"/proc/{self.process.pid}")
        return {
            "memory_kib": memory_kib([self.process.pid]),
            "threads": len(list((folder / "task").iterdir())),
            "descriptors": len(list((folder / "fd").iterdir())),
        }


def measure(kind, workers):
    with Ground() as ground:
        run = Run(ground, kind(workers))
        started, answers = run.ready(workers, 1)
        figures = {"all_ready_s": started, "cpu_s": run.cpu_seconds(), "status": answers} | run.size()
        time.sleep(6)
        figures["rest_percent"], figures["rest_percent_of_all_workers"] = run.rest()
        kills = [run.kill_all(workers, incarnation + 2) for incarnation in range(KILLS if workers > 1 else 1)]
        figures["kills"] = kills
        figures["all_ready_again_s"] = sorted(kill["all_ready_s"] for kill in kills)[len(kills) // 2]
        figures["cpu_again_s"] = sorted(kill["cpu_s"] for kill in kills)[len(kills) // 2]
        figures["status_again"] = worst([kill["status"] for kill in kills])
        begun = time.monotonic()
        send(run.process.pid, signal.SIGTERM)
        ended = until(lambda: run.process.poll() is not None, 120)
        figures["stopped_s"] = None if ended is None else time.monotonic() - begun
        return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--json", metavar="FILE", help="where to write the figures")
    args = parser.parse_args()
    found = {}
    for kind in (plain, sdk):
        one, many = measure(kind, 1), measure(kind, args.workers)
        many["memory_per_worker_kib"] = (many["memory_kib"] - one["memory_kib"]) / (args.workers - 1)
        found[kind.__name__] = many
    rows = [
        ("all ready, from the start", lambda at: f"{at['all_ready_s']:.1f} s"),
        ("processor time of the supervisor until then", lambda at: f"{at['cpu_s']:.2f} s"),
        ("memory of the supervisor, per worker", lambda at: f"{at['memory_per_worker_kib']:.1f} KiB"),
        ("its threads, descriptors", lambda at: f"{at['threads']}, {at['descriptors']}"),
        ("supervisor at rest", lambda at: f"{at['rest_percent']:.3f} % of a core"),
        ("all workers at rest, together", lambda at: f"{at['rest_percent_of_all_workers']:.2f} % of a core"),
        (f"all killed, {KILLS} times: all ready again, median", lambda at: f"{at['all_ready_again_s']:.1f} s"),
        ("processor time of the supervisor for that, median", lambda at: f"{at['cpu_again_s']:.2f} s"),
        ("`brigade status` while starting, median / worst", lambda at: "{median_ms:.0f} / {worst_ms:.0f} ms".format(**at["status"])),
        ("`brigade status` after the kills, median / worst of all", lambda at: "{median_ms:.0f} / {worst_ms:.0f} ms".format(**at["status_again"])),
        ("the program `true` at the same time, median / worst of all", lambda at: "{nothing_median_ms:.0f} / {nothing_worst_ms:.0f} ms".format(**at["status_again"])),
        ("all stopped after TERM", lambda at: "not within 120 s" if at["stopped_s"] is None else f"{at['stopped_s']:.1f} s"),
    ]
    print(f"| {args.workers} workers | " + " | ".join(found) + " |\n|---|---|---|")
    for name, show in rows:
        print(f"| {name} | " + " | ".join(show(at) for at in found.values()) + " |")
    if args.json:
        Path(args.json).write_text(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
