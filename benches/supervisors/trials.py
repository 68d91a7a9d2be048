"""The trials: what is done to each tool, and what is looked at. Each gives a cell of the table and its figures."""

import gzip
import re
import signal
import time
from collections import namedtuple
from pathlib import Path

from ground import Ground, cpu_ns, memory_kib, send, until
from tools.tool import Program

#: Seconds after which nothing is expected any more.
DEADLINE = 45
LINES = 200_000
TEN = 10

#: `alone`: not while others run, because times or the processor are measured.
Trial = namedtuple("Trial", "name alone run")


def begin(tool, ground, programs, misspelt=False):
    """Starts a manager with these programs, and waits until each has a child."""
    if not tool.set_up(ground, programs, misspelt):
        return False
    tool.start(ground)
    born = until(lambda: len(ground.born()) >= len(programs), 30)
    assert born is not None, f"{tool.name} has not started its children: {ground.said.read_text()[-500:]}"
    return True


def survivors(ground):
    """Who of a family still lives, in words and by name."""
    alive = [kind for kind in ("child", "grandchild", "escaped") if ground.living(kind)]
    return f"left: {', '.join(alive)}" if alive else "nobody left", alive


def seconds(value):
    return f"not within {DEADLINE} s" if value is None else f"{value:.1f} s"


def manager_killed(tool):
    with Ground() as ground:
        begin(tool, ground, [Program("one", ground.child("family"))])
        until(lambda: ground.living("grandchild") and ground.living("escaped"), 5)
        time.sleep(1.5)
        send(tool.manager(ground), signal.SIGKILL)
        time.sleep(3)
        words, alive = survivors(ground)
        before = len(ground.born())
        tool.start(ground)
        until(lambda: len(ground.born()) > before, 8)
        time.sleep(1)
        copies = len(ground.living())
        cell = f"{words}; started again: {copies} {'copy' if copies == 1 else '**copies**'}"
        return cell, {"alive": alive, "copies": copies, "alive_then": survivors(ground)[1]}


def guard_killed(tool):
    """Where a process stands between the manager and the child, that one is killed."""
    with Ground() as ground:
        begin(tool, ground, [Program("one", ground.child("calm"))])
        time.sleep(1.5)
        (child,) = ground.living()
        guard = parent(child)
        if guard == tool.manager(ground):
            return "is the manager", {"copies": None}
        send(guard, signal.SIGKILL)
        until(lambda: len(ground.born()) > 1, 8)
        time.sleep(1)
        copies = len(ground.living())
        return f"{copies} {'copy' if copies == 1 else '**copies**'}", {"copies": copies}


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def grandchild_after_stop(tool):
    with Ground() as ground:
        programs = [Program("one", ground.child("family"))]
        begin(tool, ground, programs)
        until(lambda: ground.living("grandchild") and ground.living("escaped"), 5)
        time.sleep(1.5)
        begun = time.monotonic()
        tool.stop(ground, programs)
        until(lambda: not ground.living(), DEADLINE)
        took = time.monotonic() - begun
        time.sleep(1)
        words, alive = survivors(ground)
        return f"{words} ({took:.1f} s)", {"alive": alive, "seconds": took}


def term_twice(tool):
    with Ground() as ground:
        begin(tool, ground, [Program("one", ground.child("deaf"))])
        time.sleep(1.5)
        manager = tool.manager(ground)
        begun = time.monotonic()
        send(manager, signal.SIGTERM)
        time.sleep(1)
        send(manager, signal.SIGTERM)
        ended = until(lambda: tool.manager(ground) is None, DEADLINE)
        took = None if ended is None else time.monotonic() - begun
        time.sleep(0.5)
        words, alive = survivors(ground)
        return f"{seconds(took)}, {words}", {"seconds": took, "alive": alive}


def crash_loop(tool):
    with Ground() as ground:
        program = Program("one", ground.child("crash"))
        begin(tool, ground, [program])
        time.sleep(8)
        spawns, state = len(ground.born()), tool.state(ground, program)
        return f"{spawns} starts; {state}", {"starts": spawns, "state": state}


def misspelt_key(tool):
    with Ground() as ground:
        if not tool.set_up(ground, [Program("one", ground.child("calm"))], misspelt=True):
            return "has no such key", {"accepted": None}
        tool.start(ground)
        accepted = until(lambda: ground.born(), 5) is not None
        said = ground.said.read_text()
        named = re.search(r"time[a-z]*uot|waitsesc|timeout-kil\b", said) is not None
        cell = "accepted" + (", with a warning" if named else "") if accepted else "**refused**, and named" if named else "refused"
        return cell, {"accepted": accepted, "named": named, "said": said[-1500:]}


def flood(tool):
    with Ground() as ground:
        program = Program("one", ground.child("talk"), once=True)
        begin(tool, ground, [program])
        until(lambda: ground.born("done"), DEADLINE)
        written = time.monotonic()
        # A tool may take its time to write it down, but not without any progress.
        count, since = -1, time.monotonic()
        while time.monotonic() - since < 2:
            found, last = read(tool, ground, program)
            if found != count:
                count, since = found, time.monotonic()
            time.sleep(0.1)
        took = since - written
        if tool.manager(ground) is not None:
            send(tool.manager(ground), tool.ends_by)
            until(lambda: not ground.managers(), 5)
        count, last = read(tool, ground, program)
        cell = f"{count:,} lines, the last one {'is there' if last else '**is lost**'}"
        return cell, {"lines": count, "last": last, "seconds_after_the_end": took}


def content(file):
    """Of a log file, also of one that was compressed meanwhile."""
    return gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()


def read(tool, ground, program):
    """How many different lines the log has, and whether the unterminated last one is there."""
    text = None
    while text is None:
        try:
            text = b"".join(content(file) for file in list(tool.logs(ground, program)))
        except FileNotFoundError:
            pass  # It was put aside, or compressed, in between.
    found = re.findall(rb"line (\d{6}) of what the child has to say", text)
    return len(set(found)), b"the last line, which has no end" in text


def ten(tool, patience):
    with Ground() as ground:
        programs = [Program(f"w{n}", ground.child("calm"), patience=patience) for n in range(TEN - 1)]
        programs.append(Program("deaf", ground.child("deaf"), patience=patience))
        begin(tool, ground, programs)
        time.sleep(1.5)
        begun = time.monotonic()
        tool.stop(ground, programs)
        gone = until(lambda: not ground.living(), DEADLINE)
        took = None if gone is None else time.monotonic() - begun
        left = len(ground.living())
        return seconds(took) + (f", {left} live on" if left else ""), {"seconds": took, "left": left}


def ten_stopped(tool):
    cell, figures = ten(tool, None)
    return f"{cell} ({tool.default_stop})", figures


def ten_stopped_in_two(tool):
    if tool.name == "honcho":
        return "cannot be set", {}
    return ten(tool, 2)


def at_rest(tool):
    with Ground() as ground:
        programs = [Program(f"w{n}", ground.child("calm")) for n in range(TEN)]
        begin(tool, ground, programs)
        time.sleep(4)
        managers = ground.managers()
        before, begun = cpu_ns(managers), time.monotonic()
        time.sleep(10)
        percent = (cpu_ns(managers) - before) / (time.monotonic() - begun) / 1e7
        memory = memory_kib(managers) / 1024
        cell = f"{percent:.3f} % of a core, {memory:.1f} MiB in {len(managers)} {'process' if len(managers) == 1 else 'processes'}"
        return cell, {"cpu_percent": percent, "memory_mib": memory, "processes": len(managers)}


def start_ten(tool):
    times = []
    for _ in range(5):
        with Ground() as ground:
            tool.set_up(ground, [Program(f"w{n}", ground.child("calm")) for n in range(TEN)])
            tool.start(ground)
            took = until(lambda: len(ground.born()) >= TEN, 30, 0.002)
            assert took is not None, ground.said.read_text()[-500:]
            times.append(took)
    times.sort()
    return f"{1000 * times[2]:.0f} ms", {"milliseconds": [1000 * took for took in times]}


ALL = [
    Trial("manager killed (SIGKILL)", False, manager_killed),
    Trial("the child's own parent killed, if that is another", False, guard_killed),
    Trial("`stop`, with descendants that ignore TERM", False, grandchild_after_stop),
    Trial("TERM to the manager, child ignores it, TERM again after 1 s", False, term_twice),
    Trial("child exits 1 at once: after 8 s", False, crash_loop),
    Trial("misspelt key (the stop timeout)", False, misspelt_key),
    Trial("200,000 log lines and an unterminated last one", True, flood),
    Trial("stop ten workers, one ignores TERM: defaults", False, ten_stopped),
    Trial("the same, stop timeout 2 s", False, ten_stopped_in_two),
    Trial("ten sleeping children: the manager at rest", True, at_rest),
    Trial("from start to ten children running", True, start_ten),
]
