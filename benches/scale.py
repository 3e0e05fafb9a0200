#!/usr/bin/env python3
"""What large registries, many retags and the start of the program cost.

    python3 benches/scale.py                 # all of it, some minutes
    python3 benches/scale.py read apply start

Builds the program, serves registries from its own sandbox in another process, and prints tables in Markdown; those of
docs/performance.md are made with it. CPU time and peak memory are the client's, as the system counts them. What is
compared is run in turn, three times, and the least of each counts: other work on the machine only ever adds.
"""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = ROOT / "target/release/ecr-retag"
BARE_LOOP = ROOT / "target/release/examples/bare_loop"
TAGS_PER_REPOSITORY = 100
LATENCY_MS = 30
PARALLELISM = 16

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_REGION": "us-east-1",
}


class Run:
    """One run of a program: seconds, CPU seconds, peak memory in MB."""

    def __init__(self, command, folder, statuses=(0,)):
        begin = time.perf_counter()
        process = subprocess.Popen(
            list(map(str, command)), cwd=folder, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        messages = process.stderr.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stderr.close()
        self.wall = time.perf_counter() - begin
        self.cpu = usage.ru_utime + usage.ru_stime
        self.memory = usage.ru_maxrss / 1000
        if process.returncode not in statuses:
            sys.exit(f"{command} ended with {process.returncode}:\n{messages}")

    def least(self, other):
        self.wall = min(self.wall, other.wall)
        self.cpu = min(self.cpu, other.cpu)
        self.memory = max(self.memory, other.memory)


class Server:
    """A sandbox in another process that holds so many repositories alike."""

    def __init__(self, folder, repositories, tags, *options):
        seed, port_file = folder / "seed.yaml", folder / "port"
        names = ", ".join(f"team{n // 100}/repository{n}" for n in range(repositories))
        scheme = f'{{ numbered: {{ name: "build-{{n}}", from: 1, count: {tags} }} }}'
        seed.write_text(f"repositories:\n- names: [{names}]\n  histories: [{{ scheme: {scheme} }}]\n")
        port_file.unlink(missing_ok=True)
        command = [PROGRAM, "sandbox", "serve", "--in-memory", "--no-quota"]
        command += ["--seed", seed, "--port-file", port_file, *options]
        self.process = subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL)
        while not port_file.exists():
            if self.process.poll() is not None:
                sys.exit("the sandbox does not start")
            time.sleep(0.1)
        self.endpoint = f"http://127.0.0.1:{port_file.read_text().strip()}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def rule(folder, name, source):
    """A plan file that copies these tags in every repository."""
    path = folder / f"{name}.yaml"
    path.write_text(
        "version: 1\n"
        f'rules: [{{ name: copy, repositories: "*/*", from: "{source}", to: "keep-${{tag}}", on_missing: ignore }}]\n'
    )
    return path


def table(*columns):
    print("| " + " | ".join(columns) + " |")
    print("|---" * len(columns) + "|")


def row(*cells):
    print("| " + " | ".join(cells) + " |", flush=True)


def read(folder):
    """Planning registries of 10,000 to 1,000,000 tags, beside a bare loop over the same calls."""
    table("tags", "", "wall s", "CPU s", "CPU µs a tag", "peak MB", "CPU / bare loop", "wall / bare loop")
    sources = {"no changes": "release-*", "1 % changed": "build-5[0]", "all changed": "build-*"}
    plans = {what: rule(folder, f"plan{n}", source) for n, (what, source) in enumerate(sources.items())}
    for tags in [10_000, 100_000, 1_000_000]:
        with Server(folder, tags // TAGS_PER_REPOSITORY, TAGS_PER_REPOSITORY) as server:
            commands = {"bare loop": [BARE_LOOP, server.endpoint]}
            for what, plan in plans.items():
                commands[what] = [PROGRAM, "plan", plan, "--endpoint-url", server.endpoint]
            best = {}
            for _ in range(3):
                for what, command in commands.items():
                    run = Run(command, folder)
                    best.setdefault(what, run).least(run)
            bare = best["bare loop"]
            for what, run in best.items():
                row(
                    f"{tags:,}",
                    what,
                    f"{run.wall:.2f}",
                    f"{run.cpu:.2f}",
                    f"{run.cpu / tags * 1e6:.2f}",
                    f"{run.memory:.0f}",
                    f"{run.cpu / bare.cpu:.2f}",
                    f"{run.wall / bare.wall:.2f}",
                )


def apply(folder):
    """Writing 10,000 tags with a latency of 30 ms and no quota."""
    table("repositories", "wall s", "PutImage/s", f"of {PARALLELISM}/{LATENCY_MS} ms", "CPU µs a retag", "peak MB")
    retags = 10_000
    for repositories in [1, 50, 1_000]:
        with Server(folder, repositories, retags // repositories, "--latency", LATENCY_MS) as server:
            plan = rule(folder, "apply", "build-*")
            reach = ["--endpoint-url", server.endpoint]
            changeset, journal = folder / "changeset.json", folder / "journal.jsonl"
            Run([PROGRAM, "plan", plan, *reach, "--out", changeset], folder)
            journal.unlink(missing_ok=True)
            options = ["--put-rate", "100000", "--parallelism", PARALLELISM, "--journal", journal]
            run = Run([PROGRAM, "apply", changeset, *reach, *options], folder)
            rate, most = retags / run.wall, PARALLELISM / (LATENCY_MS / 1000)
            row(
                f"{repositories:,}",
                f"{run.wall:.2f}",
                f"{rate:.0f}",
                f"{rate / most:.1%}",
                f"{run.cpu / retags * 1e6:.0f}",
                f"{run.memory:.0f}",
            )


def start(folder):
    """The commands that should answer at once."""
    table("command", "wall ms (median of 30)", "CPU ms (least)", "peak MB")
    small = folder / "small.yaml"
    small.write_text(
        "version: 1\nrules: [{ name: promote, repositories: shop/api, from: { semver: '1' }, pick: highest, to: stable }]\n"
    )
    for command in (["--version"], ["validate", small.name], ["plan", small.name, "--sandbox"]):
        runs = [Run([PROGRAM, *command], folder) for _ in range(31)][1:]
        row(
            f"`ecr-retag {' '.join(command)}`",
            f"{sorted(run.wall for run in runs)[len(runs) // 2] * 1000:.1f}",
            f"{min(run.cpu for run in runs) * 1000:.1f}",
            f"{max(run.memory for run in runs):.0f}",
        )


def main():
    parts = {"read": read, "apply": apply, "start": start}
    asked = sys.argv[1:] or list(parts)
    if not set(asked) <= set(parts):
        sys.exit(__doc__)
    subprocess.run(["cargo", "build", "--release", "--quiet"], cwd=ROOT, check=True)
    if "read" in asked:
        subprocess.run(["cargo", "build", "--release", "--quiet", "--example", "bare_loop"], cwd=ROOT, check=True)
    for part in asked:
        print(f"\n{parts[part].__doc__}\n")
        with tempfile.TemporaryDirectory() as folder:
            parts[part](pathlib.Path(folder))


if __name__ == "__main__":
    main()
