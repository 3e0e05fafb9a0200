"""jq recipes that people have for terraform's plan JSON, on ours."""

import json

import jq

PLAN = """\
version: 1
rules:
  - { name: rename, repositories: shop/api, from: 1.8.0-rc.3, to: 1.8.0, remove_source: true }
  - { name: move, repositories: shop/api, from: 1.7.2, to: stable }
  - { name: right already, repositories: shop/web, from: 1.7.3, to: stable }
"""
# From READMEs, answers and policies about `terraform show -json`; the last one is what GitLab's documentation gives for
# its report.
RECIPES = {
    '[.resource_changes[] | select(.change.actions[] | contains("delete")) | .address]': ["shop/api:1.8.0-rc.3"],
    '[.resource_changes[] | select(.change.actions == ["create"]) | .address]': ["shop/api:1.8.0"],
    '[.resource_changes[] | select(.change.actions | inside(["no-op", "read"]) | not) | .address]': [
        "shop/api:1.8.0", "shop/api:1.8.0-rc.3", "shop/api:stable",
    ],
    '.resource_changes | map(select(.change.actions[] == "update")) | length': 1,
    'any(.resource_changes[]; .change.actions | index("delete"))': True,
    '[.resource_changes[] | select(.change.after == null) | .address]': ["shop/api:1.8.0-rc.3"],
    ".errored": False,
    '([.resource_changes[]?.change.actions?]|flatten)|'
    '{"create":(map(select(.=="create"))|length),"update":(map(select(.=="update"))|length),'
    '"delete":(map(select(.=="delete"))|length)}': {"create": 1, "update": 1, "delete": 1},
}


def test_recipes_for_terraform_work(world):
    plan = world.write("plan.yaml", PLAN)
    saved = []
    for options in [[], ["--full"]]:
        planned = world.run("plan", plan, "--sandbox", "--json", *options)
        assert planned.returncode == 0, planned.stderr
        saved.append(json.loads(planned.stdout))
    for recipe, wanted in RECIPES.items():
        for document in saved:
            found = jq.compile(recipe).input_value(document).first()
            assert found == wanted, (recipe, found)
    actions = {tuple(change["change"]["actions"]) for change in saved[1]["resource_changes"]}
    assert actions == {("create",), ("update",), ("delete",), ("no-op",)}, actions
