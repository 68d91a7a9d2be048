"""One trial of one tool: a folder of its own, who lives there, and how to get rid of them."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

CHILD = Path(__file__).with_name("child.sh")


class Ground:
    """Everything that is started here carries the folder's name in its environment."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix=f"trial-{os.getpid()}-"))
        self.ledger = self.folder / "ledger"
        self.ledger.touch()
        self.said = self.folder / "said"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        until(lambda: not self.kill_everyone(), 10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def child(self, how):
        """Command line of a child that behaves in this way."""
        return ["/bin/sh", str(CHILD), how, str(self.ledger)]

    def env(self):
        return {**os.environ, "TRIAL_LEDGER": str(self.ledger), "HOME": str(self.folder)}

    def launch(self, argv, **more):
        """Starts a process; what it says goes to the file `said`."""
        said = self.said.open("ab")
        return subprocess.Popen(
            argv, env=self.env() | more.pop("env", {}), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=said,
            stderr=said, start_new_session=True, **more,
        )

    def ask(self, argv, deadline=60, env=None):
        """Runs a command to its end, and gives what it says; nothing if it does not end in time."""
        try:
            done = subprocess.run(
                argv, env=self.env() | (env or {}), cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True,
                timeout=deadline,
            )
        except subprocess.TimeoutExpired:
            return ""
        return (done.stdout + done.stderr).decode(errors="replace").strip()

    def born(self, kind="child"):
        """Pids of all that were ever started, in order."""
        words = [line.split() for line in self.ledger.read_text().splitlines()]
        return [int(pid) for what, pid in words if what == kind]

    def living(self, kind="child"):
        """Those of them that live."""
        everyone = self.everyone()
        return [pid for pid in self.born(kind) if pid in everyone]

    def managers(self):
        """All processes of the tool itself."""
        born = set(self.born()) | set(self.born("grandchild")) | set(self.born("escaped"))
        return self.everyone() - born

    def everyone(self):
        """Pids of all that live here. The dead that nobody has reaped have no environment, and are not counted."""
        cookie = f"TRIAL_LEDGER={self.ledger}\0".encode()
        found = set()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if cookie in (entry / "environ").read_bytes():
                        found.add(int(entry.name))
                except OSError:
                    pass
        return found

    def kill_everyone(self):
        """SIGKILL to all that live here; who they were."""
        found = self.everyone()
        for pid in found:
            send(pid, signal.SIGKILL)
        return found


def send(pid, number):
    """A signal to one process, which may be gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def until(condition, deadline, nap=0.01):
    """Waits for a condition. Seconds that it took; None if it never came."""
    begun = time.monotonic()
    while True:
        if condition():
            return time.monotonic() - begun
        if time.monotonic() - begun > deadline:
            return None
        time.sleep(nap)


def cpu_ns(pids):
    """Nanoseconds that these processes have computed so far."""
    total = 0
    for pid in pids:
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
        except OSError:
            pass
    return total


def memory_kib(pids):
    """Memory of these processes, shared pages divided by the number of their users."""
    total = 0
    for pid in pids:
        try:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        except OSError:
            pass
    return total
