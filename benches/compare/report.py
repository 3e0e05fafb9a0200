"""What the comparison has measured, as lines, as tables and as a plot; `report.py` alone writes the docs anew from
`target/compare.json`."""

import json
import math
import os
import pathlib
import platform
import statistics

OURS = ["fixed", "max", "auto"]
NAMES = {
    "cli": "AWS CLI",
    "cli_parallel": "AWS CLI, `xargs -P8`",
    "boto3_plain": "boto3, plain",
    "boto3": "boto3, batched",
    "sdk": "SDK for Rust, bare",
    "fixed": "ecr-retag",
    "max": "ecr-retag, `max`",
    "auto": "ecr-retag, `auto`",
}
# The cell in which everybody is measured, for the plot and the table of contenders.
EVERYBODY = {"retags": 1_000, "repositories": 50, "has_quota": False}
BEGIN, END = "<!-- compare: begin -->", "<!-- compare: end -->"
PAGE = "# Performance\n\n" + BEGIN + "\n" + END + "\n"
# What the comparison must show: our cost divided by theirs.
CPU_OF_BOTO3_MAX, CPU_OF_CLI_MAX = 1 / 10, 1 / 100


def line(result):
    quota = ", quota" if result["has_quota"] else ""
    place = f"{result['retags']} in {result['repositories']}, {result['latency_ms']} ms{quota}"
    calls = ", ".join(f"{count} {operation}" for operation, count in result["calls"].items())
    return (
        f"{place:28} {result['contender']:13} {result['wall_s']:7.2f} s  {per_retag(result, 'cpu_s'):8.3f} ms CPU/retag  "
        f"{mib(result):6.1f} MiB  {calls}; {result['throttled']} throttled, {result['missing']} missing"
    )


def per_retag(result, key):
    """Milliseconds a retag."""
    return result[key] / result["retagged"] * 1_000


def mib(result):
    return result["kib"] / 1_024


def calls(result):
    return sum(result["calls"].values())


def calls_by_kind(result):
    puts = result["calls"].get("PutImage", 0)
    return f"{puts:,} + {calls(result) - puts:,}"


def cell_of(result):
    return (result["latency_ms"], result["retags"], result["repositories"])


def by_cell(results, has_quota):
    cells = {}
    for result in results:
        if result["has_quota"] == has_quota:
            cells.setdefault(cell_of(result), {})[result["contender"]] = result
    return cells


def table(heads, rows, names=1):
    """A table whose first columns hold names, and the others numbers."""
    aligned = ["---"] * names + ["--:"] * (len(heads) - names)
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [heads, aligned, *rows])


def ratio(theirs, ours):
    times = theirs / ours
    return f"{times:,.0f} ×" if times >= 10 else f"{times:.1f} ×"


def cells_table(results):
    """Cells without a quota: boto3 against us."""
    heads = [
        "retags / repositories / latency", "wall, ecr-retag", "`max`", "boto3", "boto3 takes", "CPU a retag, ecr-retag",
        "boto3", "boto3 takes", "bare SDK", "peak memory, ecr-retag", "boto3", "calls (PutImage + reads), ecr-retag", "boto3",
    ]
    rows = []
    for (latency_ms, retags, repositories), cell in sorted(by_cell(results, False).items()):
        ours, theirs, with_search = cell["fixed"], cell["boto3"], cell["max"]
        rows.append([
            f"{retags:,} / {repositories} / {latency_ms} ms",
            f"{ours['wall_s']:.2f} s", f"{with_search['wall_s']:.2f} s", f"{theirs['wall_s']:.2f} s",
            ratio(theirs["wall_s"], ours["wall_s"]),
            f"{per_retag(ours, 'cpu_s'):.2f} ms", f"{per_retag(theirs, 'cpu_s'):.2f} ms",
            ratio(per_retag(theirs, "cpu_s"), per_retag(ours, "cpu_s")), f"{per_retag(cell['sdk'], 'cpu_s'):.2f} ms",
            f"{mib(ours):.0f} MiB", f"{mib(theirs):.0f} MiB", calls_by_kind(ours), calls_by_kind(theirs),
        ])
    return table(heads, rows)


def contenders_table(results):
    """Everybody, per retag."""
    heads = [
        "1,000 retags over 50 repositories", "latency", "wall a retag", "of ecr-retag's", "CPU a retag", "of ecr-retag's",
        "peak memory", "calls a retag",
    ]
    rows = []
    for latency_ms in [0, 30]:
        cell = by_cell(results, False)[latency_ms, EVERYBODY["retags"], EVERYBODY["repositories"]]
        ours = cell["fixed"]
        for contender, result in cell.items():
            rows.append([
                NAMES[contender], f"{latency_ms} ms",
                f"{per_retag(result, 'wall_s'):.2f} ms", ratio(per_retag(result, "wall_s"), per_retag(ours, "wall_s")),
                f"{per_retag(result, 'cpu_s'):.2f} ms", ratio(per_retag(result, "cpu_s"), per_retag(ours, "cpu_s")),
                f"{mib(result):.0f} MiB", f"{calls(result) / result['retagged']:.2f}",
            ])
    return table(heads, rows)


def quota_table(results):
    heads = ["retags / repositories", "contender", "wall", "CPU a retag", "PutImage calls", "throttled", "tags missing"]
    rows = []
    for (_, retags, repositories), cell in sorted(by_cell(results, True).items()):
        for contender, result in cell.items():
            puts = result["calls"].get("PutImage", 0)
            number = result["retagged"]
            rows.append([
                f"{number:,} / {repositories}" if number == retags else f"{number:,} of {retags:,} / {repositories}",
                NAMES[contender], f"{result['wall_s']:,.1f} s", f"{per_retag(result, 'cpu_s'):.2f} ms", f"{puts:,}",
                f"{result['throttled']} ({100 * result['throttled'] / max(puts, 1):.1f} %)", result["missing"],
            ])
    return table(heads, rows, names=2)


def verdicts(results):
    """What was to be shown, and whether it was."""
    free = by_cell(results, False)
    everybody = [cell for cell in free.values() if "cli" in cell]
    cpu = [per_retag(cell["fixed"], "cpu_s") / per_retag(cell["boto3"], "cpu_s") for cell in free.values()]
    sdk_cpu = [per_retag(cell["sdk"], "cpu_s") / per_retag(cell["boto3"], "cpu_s") for cell in free.values()]
    over_sdk = [per_retag(cell["fixed"], "cpu_s") / per_retag(cell["sdk"], "cpu_s") for cell in free.values()]
    cli_cpu = [per_retag(cell["fixed"], "cpu_s") / per_retag(cell["cli"], "cpu_s") for cell in everybody]
    slower = [cell for cell, found in sorted(free.items()) if found["fixed"]["wall_s"] > found["boto3"]["wall_s"]]
    quota_cells = by_cell(results, True)
    with_quota = [cell for cell, found in sorted(quota_cells.items()) if found["max"]["wall_s"] > found["boto3"]["wall_s"]]
    cli_mib = min(mib(result) for result in results if "cli" in result["contender"])
    memory = [
        max(mib(found[ours]) / min(mib(found["boto3"]), cli_mib) for ours in OURS if ours in found)
        for found in [*free.values(), *quota_cells.values()]
    ]
    named = [f"{retags:,} / {repositories} / {latency} ms" for latency, retags, repositories in slower]
    named += [f"{retags:,} / {repositories} with a quota" for _, retags, repositories in with_quota]

    def verdict(what, is_so, found):
        return f"- {what}: **{'yes' if is_so else 'no'}**, {found}"

    cells = len(free)

    def good(costs):
        return sum(cost <= CPU_OF_BOTO3_MAX for cost in costs)

    return "\n".join([
        verdict("CPU a retag at most a tenth of boto3's", good(cpu) == cells,
                f"it is in {good(cpu)} of {cells} cells, those of the bare SDK in {good(sdk_cpu)}; "
                f"1/{1 / max(cpu):.1f} at the least, 1/{1 / statistics.geometric_mean(cpu):.1f} in the geometric mean, "
                f"1/{1 / min(cpu):.1f} at the most; {min(over_sdk):.1f} to {max(over_sdk):.1f} times the bare SDK's"),
        verdict("CPU a retag at most a hundredth of the AWS CLI recipe's", max(cli_cpu) <= CPU_OF_CLI_MAX,
                f"1/{1 / max(cli_cpu):.0f}"),
        verdict("wall time never above boto3's", not named,
                f"not in {', '.join(named)}" if named else f"in {cells + len(quota_cells)} cells"),
        verdict("peak memory below both", max(memory) < 1,
                f"between {min(memory):.0%} and {max(memory):.0%} of the thriftier one's in the same cell"),
    ])


TEXT = """\
## Compared with the AWS CLI and boto3

The same retags, done by the recipe of the ECR user guide with the AWS CLI, by a boto3 script that reads a hundred
manifests a call and writes with 16 threads in the adaptive retry mode (`benches/compare/retag.py`), and by
`ecr-retag apply` with its 16 calls in flight, against one `ecr-retag sandbox serve` on the same {cores} cores
({versions}).

The *bare SDK* is `benches/bare_loop.rs`: a hundred manifests a call and 16 `PutImage` at once with the AWS SDK for Rust,
and nothing else. What is built on that SDK cannot take less, also where an answer that was waited for finds a process
that has slept, and takes twice the CPU of one that finds it awake.

```sh
cargo build --profile dist --bin ecr-retag --example bare_loop && python3 benches/compare/compare.py
```

It is the sandbox's latency, and no network: what is compared is what the clients do, not what AWS answers. Unlike the
others, ecr-retag reads each tag again before it writes it and after, and keeps a journal; its calls hold these reads.
Up to 1,000 retags the best of three runs counts, else the only one. Nobody was throttled without a quota, and nobody
left a tag out unless a table says so.

![Wall time, CPU time and peak memory of each contender](performance.svg)

{verdicts}

### Without a quota

ecr-retag runs with `--put-rate 100000`; the column `max` says how long it takes with `--put-rate max`, which begins at
10 calls a second and doubles until it is throttled.

{cells}

### Everybody

The AWS CLI starts anew for each call, so that a retag costs the same however many there are: {serial} retags one after the
other and {parallel} side by side were measured, and stand for 1,000. Its memory is that of one of its processes.

{contenders}

### With ECR's quota of 10 PutImage a second

30 ms of latency; from 1,000 retags on, all rows were measured side by side. `auto`, the default, keeps a tenth of the
quota free for whoever pushes images meanwhile; `max` takes all of it.

{quota}"""


def versions():
    pinned = (pathlib.Path(__file__).resolve().parent / "requirements.txt").read_text().split()
    return ", ".join(["Python " + platform.python_version(), *(line.replace("==", " ") for line in pinned)])


def write(results, docs):
    """Writes tables and plot, and leaves what else stands in the page."""
    free = [result for result in results if not result["has_quota"]]
    assert not any(result["missing"] or result["throttled"] for result in free), "the page says that there are none"
    retagged = {result["contender"]: result["retagged"] for result in results if "cli" in result["contender"]}
    text = TEXT.format(
        verdicts=verdicts(results), cells=cells_table(results), contenders=contenders_table(results),
        quota=quota_table(results), serial=retagged["cli"], parallel=retagged["cli_parallel"],
        cores=os.cpu_count(), versions=versions(),
    )
    page = docs / "performance.md"
    before, rest = (page.read_text() if page.exists() else PAGE).split(BEGIN)
    page.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")
    (docs / "performance.svg").write_text(plot(results))


STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: 600; }
.bar { fill: #8c959f; }
.ours { fill: #1f883d; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .bar { fill: #6e7681; }
  .ours { fill: #3fb950; }
}"""


def rounded(number):
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def plot(results):
    """Three panels of bars, for 1,000 retags over 50 repositories with 30 ms of latency."""
    cell = by_cell(results, False)[30, EVERYBODY["retags"], EVERYBODY["repositories"]]
    shown = {contender: cell[contender] for contender in NAMES if contender in cell and contender != "max"}
    panels = [
        ("Wall time a retag, ms (log)", lambda result: per_retag(result, "wall_s"), True),
        ("CPU time a retag, ms (log)", lambda result: per_retag(result, "cpu_s"), True),
        ("Peak memory, MiB", mib, False),
    ]
    row, label, width, gap = 22, 150, 150, 60
    height = 76 + row * len(shown)
    total = label + len(panels) * (width + gap)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} {height}" width="{total}" height="{height}" role="img">',
        "<title>1,000 retags over 50 repositories with 30 ms of latency</title>",
        f"<style>\n{STYLE}\n</style>",
        '<text x="8" y="20" class="title">1,000 retags over 50 repositories, 30 ms of latency</text>',
    ]
    for number, contender in enumerate(shown):
        name = NAMES[contender].replace("`", "")
        parts.append(f'<text x="{label - 10}" y="{74 + row * number}" text-anchor="end">{name}</text>')
    for panel, (title, value, is_logarithmic) in enumerate(panels):
        left = label + panel * (width + gap)
        values = [value(result) for result in shown.values()]
        parts.append(f'<text x="{left}" y="46">{title}</text>')
        # Logarithmic bars begin at a power of ten below all values, so that even the shortest is seen.
        low = 10 ** math.floor(math.log10(min(values) / 1.5))
        for number, (contender, found) in enumerate(zip(shown, values)):
            part = math.log(found / low) / math.log(max(values) / low) if is_logarithmic else found / max(values)
            length = width * part
            kind = "bar ours" if contender in OURS else "bar"
            y = 60 + row * number
            parts.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="{row - 5}" class="{kind}"/>')
            parts.append(f'<text x="{left + length + 5:.1f}" y="{y + 14}">{rounded(found)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    write(json.loads((root / "target" / "compare.json").read_text()), root / "docs")
