"""Measures what retagging costs with the AWS CLI, with boto3 and with ecr-retag, side by side.

    cargo build --profile dist --bin ecr-retag --example bare_loop && python3 benches/compare/compare.py [--quick]

Each cell of the table is a `sandbox serve` of its own that all contenders work against, one after the other, each
writing tags of its own. Long waits for a quota are waited for side by side, each contender with a server of its own.
Writes the figures to `target/compare.json`, and tables and plot into `docs/`; with `--quick`
only a few cells, and nothing into `docs/`. Makes a virtual environment under `target/` with what `requirements.txt`
pins. The programs are those of the profile that is released, under `target/dist`.
"""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import report

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PROGRAMS = ROOT / "target" / "dist"
sys.path.insert(0, str(ROOT / "tests" / "interop"))

from run import environment  # noqa: E402
from world import World  # noqa: E402

QUOTA_PER_SECOND = 10
# What is over so soon is measured more often, and the quickest run counts.
SHORT_RETAGS_MAX = 1_000
SHORT_RUNS = 3
# An `aws` takes more than half a second of CPU time, whatever it does; so a few retags tell what any number costs.
CLI_SERIAL_RETAGS = 10
CLI_PARALLEL_RETAGS = 40
FIXED_RATE = "100000"
THROTTLE = "ThrottlingException"


@dataclasses.dataclass(frozen=True)
class Cell:
    """What is retagged, and how the registry answers."""

    retags: int
    repositories: int
    latency_ms: int
    has_quota: bool = False
    contenders: tuple = ("boto3", "sdk", "fixed", "max")
    # A quota makes contenders wait for most of the time, so that they can do so together.
    is_side_by_side: bool = False


def cells(is_quick):
    if is_quick:
        return [
            Cell(100, 50, 30, contenders=("cli", "cli_parallel", "boto3", "fixed", "max")),
            Cell(1_000, 50, 0, contenders=("boto3_plain", "boto3", "fixed", "max")),
            Cell(100, 1, 30, True, ("boto3", "max", "auto"), is_side_by_side=True),
        ]
    chosen = [
        Cell(retags, repositories, latency_ms)
        for latency_ms in [0, 30]
        for retags in [100, 1_000, 10_000]
        for repositories in [1, 50, 500]
        if repositories <= retags
    ]
    everyone = ("cli", "cli_parallel", "boto3_plain", "boto3", "sdk", "fixed", "max")
    chosen = [
        dataclasses.replace(cell, contenders=everyone) if (cell.retags, cell.repositories) == (1_000, 50) else cell
        for cell in chosen
    ]
    with_quota = [
        Cell(retags, repositories, 30, True, ("boto3", "max", "auto"), is_side_by_side=retags > 100)
        for retags in [100, 1_000, 10_000]
        for repositories in [1, 50, 500]
        if repositories <= retags
    ]
    with_quota[1] = dataclasses.replace(with_quota[1], contenders=("cli_parallel", *with_quota[1].contenders))
    return [*chosen, *with_quota]


def repository_name(number):
    return f"team-{number % 25:02}/service-{number:03}"


def seed(cell):
    """Repositories with as many images of one tag each as there are retags."""
    each = cell.retags // cell.repositories
    lines = ["repositories:\n"]
    for number in range(cell.repositories):
        scheme = f"{{ numbered: {{ name: 'build-{{n}}', from: 1, count: {each} }} }}"
        lines.append(f"  - {{ names: [{repository_name(number)}], histories: [{{ scheme: {scheme} }}] }}\n")
    return "".join(lines)


def mapping(cell, retags, prefix):
    """Lines REPOSITORY FROM TO, spread over the repositories."""
    each = cell.retags // cell.repositories
    rows = [
        f"{repository_name(number)}\tbuild-{build}\t{prefix}-{build}\n"
        for build in range(1, each + 1)
        for number in range(cell.repositories)
    ]
    assert len(rows) == cell.retags, "repositories must divide retags"
    return "".join(rows[:retags])


PLAN = """\
version: 1
rules:
  - name: retag
    repositories: "*"
    map_file: {}
"""


class Contest:
    """One registry, and the contenders that work against it."""

    def __init__(self, world, cell, python):
        self.world, self.cell, self.python = world, cell, python
        seed_file = world.write("seed.yaml", seed(cell))
        limits = [] if cell.has_quota else ["--no-quota"]
        port = world.folder / "port"
        command = [world.binary(), "sandbox", "serve", "--in-memory", "--port-file", str(port), "--seed", seed_file]
        world.start([*command, "--latency", str(cell.latency_ms), *limits])
        while not port.exists():
            time.sleep(0.02)
        self.url = f"http://127.0.0.1:{port.read_text().strip()}"

    def state(self):
        with urllib.request.urlopen(f"{self.url}/_sandbox/state", timeout=60) as answer:
            return json.load(answer)

    def measure(self, contender):
        is_short = self.cell.retags <= SHORT_RETAGS_MAX and contender in ["boto3", "boto3_plain", "sdk", "fixed"]
        is_short = is_short and not self.cell.has_quota
        runs = [self.run(contender, number) for number in range(SHORT_RUNS if is_short else 1)]
        return min(runs, key=lambda run: run["wall_s"])

    def run(self, contender, number):
        prefix = f"{contender.replace('_', '-')}-{number}"
        retags = {"cli": CLI_SERIAL_RETAGS, "cli_parallel": CLI_PARALLEL_RETAGS}.get(contender, self.cell.retags)
        if self.cell.has_quota:
            # Whoever comes first leaves nothing of the quota to the next.
            time.sleep(2)
        before = self.state()
        cost = self.cost(self.command(contender, mapping(self.cell, retags, prefix)))
        after = self.state()
        calls, throttled = {}, 0
        for operation, tally in after["operations"].items():
            earlier = before["operations"].get(operation, {"calls": 0, "errors": {}})
            if tally["calls"] > earlier["calls"]:
                calls[operation] = tally["calls"] - earlier["calls"]
            throttled += tally["errors"].get(THROTTLE, 0) - earlier["errors"].get(THROTTLE, 0)
        tags = [sum(registry["tags"] for registry in state["registries"]) for state in [before, after]]
        return cost | {"retagged": retags, "missing": retags - (tags[1] - tags[0]), "calls": calls, "throttled": throttled}

    def command(self, contender, rows):
        rows_file = self.world.write("mapping.tsv", rows)
        match contender:
            case "cli" | "cli_parallel":
                processes = "1" if contender == "cli" else "8"
                return ["bash", str(HERE / "recipe.sh"), rows_file, self.url, processes]
            case "boto3" | "boto3_plain":
                plain = ["--plain"] if contender == "boto3_plain" else []
                return [str(self.python), str(HERE / "retag.py"), rows_file, self.url, *plain]
            case "sdk":
                return [str(PROGRAMS / "examples" / "bare_loop"), self.url, rows_file]
        rate = FIXED_RATE if contender == "fixed" else contender
        plan = self.world.write("plan.yaml", PLAN.format(rows_file))
        apply = ["apply", plan, "--auto-approve", "--no-resume", "--endpoint-url", self.url, "--put-rate", rate]
        return [self.world.binary(), *apply]

    def cost(self, command):
        env = dict(self.world.env, PATH=f"{self.python.parent}:{os.environ['PATH']}")
        measure = [sys.executable, "-I", "-S", str(HERE / "measure.py"), "log", *command]
        result = subprocess.run(measure, cwd=self.world.folder, env=env, capture_output=True, text=True, check=True)
        cost = json.loads(result.stdout)
        if cost["code"] != 0:
            print((self.world.folder / "log").read_text()[-2_000:], file=sys.stderr)
        return cost


def contest(cell, contenders, python):
    with World() as world:
        contest = Contest(world, cell, python)
        for contender in contenders:
            yield dataclasses.asdict(cell) | {"contender": contender} | contest.measure(contender)


def measure(chosen, python):
    """What each contender costs in each cell."""
    for cell in chosen:
        if not cell.is_side_by_side:
            yield from contest(cell, cell.contenders, python)
    alone = [(cell, contender) for cell in chosen if cell.is_side_by_side for contender in cell.contenders]
    with ThreadPoolExecutor(max(len(alone), 1)) as pool:
        for results in pool.map(lambda one: list(contest(one[0], [one[1]], python)), alone):
            yield from results


def main():
    options = sys.argv[1:]
    is_quick = "--quick" in options
    os.environ["ECR_RETAG_BIN"] = str(PROGRAMS / "ecr-retag")
    python = environment(HERE / "requirements.txt")
    if os.getloadavg()[0] > 1:
        print("warning: the machine is busy with something else, and so are the figures", file=sys.stderr)
    results = []
    begun = time.monotonic()
    for result in measure(cells(is_quick), python):
        results.append(result)
        print(report.line(result), flush=True)
    minutes = (time.monotonic() - begun) / 60
    print(f"{minutes:.1f} minutes")
    if not is_quick:
        (ROOT / "target" / "compare.json").write_text(json.dumps(results, indent=1))
        report.write(results, ROOT / "docs")
    return 1 if any(result["code"] != 0 and result["contender"] in report.OURS for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
