"""The page of `plan --format html`, used in a browser as a reader uses it.

What it should show is computed here from the plan's JSON. Times are the page's own, and of several tries the best counts:
a machine that is busy makes some slow, a page that is slow makes all slow.
"""

import json

from webdriver import browser

REPOSITORIES = 500
TAGS = 20
CHANGES = REPOSITORIES * TAGS
FILTER_MS_MAX = 200
TRIES = 5
# What is made at once near what is in sight, with room for what was scrolled past.
ROWS_MADE_MAX = 600

SEED = "repositories:\n" + "".join(
    f"  - {{ names: [team-{number % 25:02}/service-{number:03}], histories: "
    f"[{{ scheme: {{ numbered: {{ name: 'build-{{n}}', from: 1, count: {TAGS} }} }} }}], tags: {{ stable: build-1 }} }}\n"
    for number in range(REPOSITORIES)
)
PLAN = f"""\
version: 1
rules:
  - {{ name: release the last build, repositories: team-*, from: build-{TAGS}, to: stable }}
  - {{ name: keep the others, repositories: team-*, from: {{ regex: "build-([0-9]|1[0-9])" }}, to: "release-${{1}}" }}
"""


def made(world):
    """A page of ten thousand changes, and the changes."""
    seed = world.folder / world.write("seed.yaml", SEED)
    plan = world.write("plan.yaml", PLAN)
    world.run("sandbox", "seed", str(seed)).check_returncode()
    planned = world.run("plan", plan, "--sandbox", "--format", "html", "--json-into", "plan.json")
    assert planned.returncode == 0, planned.stderr
    world.write("page.html", planned.stdout)
    changes = json.loads((world.folder / "plan.json").read_text())["resource_changes"]
    assert len(changes) == CHANGES, len(changes)
    return world.folder / "page.html", changes


def matching(changes, word):
    def texts(change):
        yield change["address"]
        for digest in [change["change"]["before"], change["change"]["after"]]:
            yield digest["digest"] if digest else ""
        yield change["action_reason"]
        yield change["rules"][0]

    return sum(any(word in text.lower() for text in texts(change)) for change in changes)


def shown(page):
    return page.value("Number(document.documentElement.dataset.shown)")


def best_ms(page, *actions):
    """The time of the first action at its best; the others lead back to where it begins."""
    times = []
    for _ in range(TRIES):
        times.append(page.settled_ms(actions[0]))
        for action in actions[1:]:
            page.settled_ms(action)
    return min(times)


def set_to(field, value):
    field = f"document.getElementById({json.dumps(field)})"
    return f"{field}.value = {json.dumps(value)}; {field}.dispatchEvent(new Event('input', {{bubbles: true}}))"


def quick(what, took):
    print(f"   {what}: {took:.0f} ms", flush=True)
    assert took < FILTER_MS_MAX, f"{what} takes {took:.0f} ms"


def test_ten_thousand_changes_are_used_without_lag(world):
    path, changes = made(world)
    with browser() as page:
        page.open(path)
        assert shown(page) == CHANGES
        assert f"in {REPOSITORIES} groups" in page.value("document.getElementById('shown').textContent")

        address, digest = changes[-1]["address"].lower(), changes[-1]["change"]["after"]["digest"]
        for word in ["stable", address.split(":")[0], digest[7:27], "a", "no-such-thing"]:
            took = best_ms(page, set_to("text", word), set_to("text", ""))
            page.settled_ms(set_to("text", word))
            assert shown(page) == matching(changes, word), word
            quick(f"filter {word!r}", took)
            page.settled_ms(set_to("text", ""))
        quick("show all again", best_ms(page, set_to("text", ""), set_to("text", "stable")))
        page.settled_ms(set_to("text", ""))

        for kind, action in enumerate(["create", "update", "delete"]):
            box = f"document.querySelector('[name=kind][value=\"{kind}\"]').click()"
            took = best_ms(page, box, box)
            page.settled_ms(box)
            assert shown(page) == sum(change["change"]["actions"] != [action] for change in changes)
            quick(f"without {action}", took)
            page.settled_ms(box)

        name = changes[-1]["repository"]
        page.settled_ms(set_to("repository", name))
        assert shown(page) == TAGS
        page.settled_ms(set_to("repository", ""))

        quick("unfold all", best_ms(page, "document.getElementById('open').click()", "document.getElementById('close').click()"))
        page.settled_ms("document.getElementById('open').click()")
        rows = page.value("document.querySelectorAll('#groups tbody tr:not(.later)').length")
        assert 0 < rows <= ROWS_MADE_MAX, rows
        last = (
            "[...document.querySelectorAll('#groups details:last-child tbody tr:last-child .tag')]"
            ".map((cell) => cell.textContent).pop()"
        )
        # The page grows where rows are made, so that its end moves.
        for _ in range(50):
            page.settled_ms("window.scrollTo(0, document.body.scrollHeight)")
            if page.value(last) == changes[-1]["tag"]:
                break
        assert page.value(last) == changes[-1]["tag"]

        page.settled_ms(set_to("group", "tag"))
        tags = {change["tag"] for change in changes}
        assert f"in {len(tags)} groups" in page.value("document.getElementById('shown').textContent")

        assert page.value("performance.getEntriesByType('resource').map((entry) => entry.name)") == []
        assert page.console() == []


def test_the_keyboard_is_enough(world):
    path, changes = made(world)
    with browser() as page:
        page.open(path)
        page.type("body", "/")
        assert page.value("document.activeElement.id") == "text"
        page.type("#text", "stable")
        assert shown(page) == matching(changes, "stable")
        page.type("#text", "\ue00c")
        assert shown(page) == CHANGES

        focused = "document.activeElement.parentElement.querySelector('.name').textContent"
        page.settled_ms("document.querySelector('#groups summary').focus()")
        first = page.value(focused)
        page.type("#groups summary", "\ue007")
        assert page.value("document.activeElement.parentElement.open")
        assert page.value("document.activeElement.parentElement.querySelectorAll('tbody tr:not(.later)').length") == TAGS
        page.type("#groups summary", "\ue015")
        assert page.value(focused) != first
        reached = (
            "[...document.querySelectorAll('input, select, button, summary')].every((one) => one.tabIndex >= 0)"
            " && [...document.querySelectorAll('#filters input, #filters select')].every((one) => one.labels.length > 0)"
        )
        assert page.value(reached)


def test_it_is_light_by_day_and_dark_by_night(world):
    path, _ = made(world)
    with browser() as page:
        for scheme, is_dark in [("light", False), ("dark", True)]:
            page.emulate("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            page.open(path)
            page.settled_ms("document.querySelector('#groups summary').click()")
            for selector in ["body", "header .facts", "#groups .sign", "#groups .tag", "#text", "#open"]:
                text, ground = luminance(page, selector, "color"), luminance(page, "body", "backgroundColor")
                if selector in ["#text", "#open"]:
                    ground = luminance(page, selector, "backgroundColor")
                assert (ground < 0.2) == is_dark, (scheme, selector, ground)
                contrast = (max(text, ground) + 0.05) / (min(text, ground) + 0.05)
                assert contrast >= 4.5, f"{selector} has a contrast of {contrast:.1f} when it is {scheme}"


def luminance(page, selector, property_name):
    """The relative luminance of a colour, as WCAG 2 defines it."""
    style = f"getComputedStyle(document.querySelector({json.dumps(selector)})).{property_name}"
    colour = page.value(f"{style}.match(/[0-9.]+/g).slice(0, 3).map(Number)")
    linear = [part / 255 / 12.92 if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in colour]
    return sum(weight * part for weight, part in zip([0.2126, 0.7152, 0.0722], linear))
