#!/usr/bin/env python3
"""Brigade and other process managers, through the same trials on the same machine: a table, and the figures as JSON.

    benches/supervisors/run.py [--json FILE] [--only TOOL]... [--trial WORD]...

A tool that is not installed is named, with the command that installs it. Only what was started here is signalled."""

import argparse
import json
import os
import sys
import tempfile
import traceback
from concurrent.futures import ThreadPoolExecutor

import tools
import trials
from ground import Ground


def measure(trial, tool):
    """One cell; a trial that fails says why."""
    try:
        return trial.run(tool)
    except Exception as error:
        traceback.print_exc()
        return f"trial failed: {error!s:.60}", {"failed": repr(error)}


def run(trial, present):
    """One row. Trials that measure nothing but whole seconds run side by side."""
    with ThreadPoolExecutor(1 if trial.alone else len(present)) as pool:
        cells = list(pool.map(lambda tool: measure(trial, tool), present))
    for tool, (cell, _) in zip(present, cells):
        print(f"{trial.name} | {tool.name} | {cell}", file=sys.stderr, flush=True)
    return dict(zip([tool.name for tool in present], cells))


def table(rows, versions):
    """Markdown: a row for each trial."""
    lines = ["| | " + " | ".join(f"{name} {version}" for name, version in versions.items()) + " |"]
    lines.append("|---" * (len(versions) + 1) + "|")
    for name, cells in rows.items():
        lines.append(f"| {name} | " + " | ".join(cells[tool][0].replace("|", "\\|") for tool in versions) + " |")
    return "\n".join(lines)


def was_started_here(pid):
    """Whether it carries the name of a ledger of ours. Each trial has ended by now."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return f"TRIAL_LEDGER={tempfile.gettempdir()}/trial-{os.getpid()}-".encode() in file.read()
    except OSError:
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="where to write the figures")
    parser.add_argument("--only", action="append", metavar="TOOL", help="this tool; may be repeated")
    parser.add_argument("--trial", action="append", metavar="WORD", help="trials with this word in their name")
    args = parser.parse_args()
    wanted = [tool for tool in tools.ALL if not args.only or tool.name.lower() in [name.lower() for name in args.only]]
    missing = [tool for tool in wanted if tool.is_missing()]
    present = [tool for tool in wanted if tool not in missing]
    for tool in missing:
        print(f"missing: {tool.name}; to install it: {tool.install}")
    if not present:
        return 1
    with Ground() as ground:
        versions = {tool.name: tool.version(ground).split()[-1] for tool in present}
    chosen = [trial for trial in trials.ALL if not args.trial or any(word in trial.name for word in args.trial)]
    rows = {trial.name: run(trial, present) for trial in chosen}
    print(table(rows, versions))
    left = [pid for pid in os.listdir("/proc") if pid.isdigit() and was_started_here(pid)]
    print(f"\nleft behind: {len(left)} processes")
    if args.json:
        figures = {name: {tool: cells[tool][1] for tool in cells} for name, cells in rows.items()}
        with open(args.json, "w") as file:
            json.dump({"cores": os.cpu_count(), "versions": versions, "figures": figures}, file, indent=2)
            file.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
