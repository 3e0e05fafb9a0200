"""Runs the interoperability tests: clients and servers that others wrote.

    python3 tests/interop/run.py [SUITE...]

Makes a virtual environment under `target/` with what `requirements.txt` pins, and runs every suite in it: each module
beside this one that has functions called `test_…`. The program is `$ECR_RETAG_BIN`, or `target/debug/ecr-retag`.
Exits with 0 if all pass, 1 if any fails, 77 if the packages cannot be installed.
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
SUITES = ["clients", "servers", "put_image"]
SKIPPED = 77


def environment():
    """The interpreter of a virtual environment that holds the pinned packages."""
    requirements = HERE / "requirements.txt"
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

    passed, failed = 0, 0
    for name in names:
        module = importlib.import_module(name)
        for test_name, test in inspect.getmembers(module, inspect.isfunction):
            if not test_name.startswith("test_"):
                continue
            begun = time.monotonic()
            try:
                with world.World() as here:
                    test(here)
            except Exception:
                failed += 1
                print(f"FAILED {name}::{test_name}\n{traceback.format_exc()}", flush=True)
            else:
                passed += 1
                print(f"ok {name}::{test_name} ({time.monotonic() - begun:.1f} s)", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def main():
    present = [name for name in SUITES if (HERE / f"{name}.py").exists()]
    names = sys.argv[1:] or present
    if os.environ.get("ECR_RETAG_INTEROP") == "inside":
        return run(names)
    try:
        python = environment()
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"skipped: the packages cannot be installed: {error}")
        return SKIPPED
    inside = dict(os.environ, ECR_RETAG_INTEROP="inside", PYTHONPATH=str(HERE))
    return subprocess.run([python, __file__, *names], env=inside, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
