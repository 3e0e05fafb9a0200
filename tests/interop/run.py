"""Runs the interoperability tests: clients and servers that others wrote.

    python3 tests/interop/run.py [SUITE...]

Makes virtual environments under `target/` with what `requirements.txt` and `tools.txt` pin, and runs every suite in
its own: a module beside this one with functions called `test_…`. The program is `$ECR_RETAG_BIN`, or
`target/debug/ecr-retag`. Exits with 0 if all pass, 1 if any fails, 77 if the packages cannot be installed. A test whose
programs (a browser, npm) are not there is skipped, and fails where `CI` is set.
"""

import hashlib
import importlib
import inspect
import os
import pathlib
import subprocess
import sys
import time
import traceback
import venv

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
# What the AWS CLI and the tools need does not go together.
SUITES = {
    "requirements.txt": ["clients", "servers", "put_image", "page"],
    "tools.txt": ["ci_files", "jq_recipes"],
}
SKIPPED = 77


def environment(requirements):
    """The interpreter of a virtual environment that holds the packages that a file pins."""
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    folder = ROOT / "target" / f"interop-{digest}"
    python = folder / "bin" / "python"
    ready = folder / "ready"
    if not ready.exists():
        venv.create(folder, with_pip=True, clear=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements]
        subprocess.run(install, check=True)
        ready.touch()
    return python


def run(names):
    """Runs the tests of these suites, each with a world of its own, and counts."""
    import world

    passed, failed, skipped = 0, 0, 0
    for name in names:
        module = importlib.import_module(name)
        for test_name, test in inspect.getmembers(module, inspect.isfunction):
            if not test_name.startswith("test_"):
                continue
            begun = time.monotonic()
            try:
                with world.World() as here:
                    test(here)
            except world.Missing as missing:
                if os.environ.get("CI"):
                    failed += 1
                    print(f"FAILED {name}::{test_name}: CI must have {missing}", flush=True)
                else:
                    skipped += 1
                    print(f"skipped {name}::{test_name}: needs {missing}", flush=True)
            except Exception:
                failed += 1
                print(f"FAILED {name}::{test_name}\n{traceback.format_exc()}", flush=True)
            else:
                passed += 1
                print(f"ok {name}::{test_name} ({time.monotonic() - begun:.1f} s)", flush=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed + skipped else 0


def main():
    if os.environ.get("ECR_RETAG_INTEROP") == "inside":
        return run(sys.argv[1:])
    wanted = set(sys.argv[1:]) or set().union(*SUITES.values())
    inside = dict(os.environ, ECR_RETAG_INTEROP="inside", PYTHONPATH=str(HERE))
    codes = set()
    for requirements, suites in SUITES.items():
        names = [name for name in suites if name in wanted]
        if not names:
            continue
        try:
            python = environment(HERE / requirements)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"skipped {names}: the packages of {requirements} cannot be installed: {error}", flush=True)
            codes.add(SKIPPED)
            continue
        codes.add(subprocess.run([python, __file__, *names], env=inside, check=False).returncode)
    failures = codes - {0, SKIPPED}
    return max(failures) if failures else max(codes, default=1)


if __name__ == "__main__":
    sys.exit(main())
