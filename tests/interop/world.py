"""What a test finds around it: a folder, servers on loopback, the program, the AWS CLI, boto3."""

import hashlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
REGION = "us-east-1"
STARTS_WITHIN_S = 60


class Missing(Exception):
    """A program that a test needs is not on this machine."""


class World:
    """A folder and the servers that were started in it; both are gone afterwards."""

    def __init__(self):
        self.folder = None
        self.servers = []
        self.env = dict(
            {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "ECR_RETAG_VAR_"))},
            AWS_ACCESS_KEY_ID="test",
            AWS_SECRET_ACCESS_KEY="test",
            AWS_DEFAULT_REGION=REGION,
            AWS_REGION=REGION,
            AWS_EC2_METADATA_DISABLED="true",
            AWS_PAGER="",
            HOME="/nonexistent",
        )

    def __enter__(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.temporary.name)
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.terminate()
            server.wait(timeout=30)
        self.temporary.cleanup()

    def binary(self):
        return os.environ.get("ECR_RETAG_BIN", str(ROOT / "target" / "debug" / "ecr-retag"))

    def sandbox(self, *options):
        """Starts `sandbox serve` with the built-in seed and without quotas; gives its URL."""
        port_file = self.folder / f"port-{len(self.servers)}"
        command = [self.binary(), "sandbox", "serve", "--in-memory", "--no-quota", "--port", "0"]
        self.start([*command, "--port-file", str(port_file), *options])
        wait_for(port_file.exists)
        return f"http://127.0.0.1:{port_file.read_text().strip()}"

    def serve(self, command, env=None):
        """Starts somebody else's server; `{port}` in the command and the environment becomes a free port."""
        port = str(free_port())
        fill = lambda text: text.replace("{port}", port)
        env = {name: fill(value) for name, value in (env or {}).items()}
        self.start([fill(part) for part in command], env)
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: answers(url))
        return url

    def start(self, command, env=None):
        log = open(self.folder / f"server-{len(self.servers)}.log", "wb")
        options = {"cwd": self.folder, "env": dict(self.env, **(env or {})), "stdout": log, "stderr": log}
        self.servers.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, **options))

    def run(self, *args, env=None):
        """Runs the program; gives its result with `stdout` and `stderr` as text."""
        options = {"cwd": self.folder, "env": dict(self.env, **(env or {})), "stdin": subprocess.DEVNULL}
        return subprocess.run([self.binary(), *args], capture_output=True, text=True, timeout=120, **options)

    def aws(self, url, *args):
        """Runs the AWS CLI."""
        aws = pathlib.Path(sys.executable).parent / "aws"
        command = [str(aws), "ecr", *args, "--endpoint-url", url]
        options = {"cwd": self.folder, "env": self.env, "stdin": subprocess.DEVNULL}
        return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)

    def aws_json(self, url, *args):
        result = self.aws(url, *args, "--output", "json")
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def boto3(self, url):
        import boto3

        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return boto3.client("ecr", region_name=REGION, endpoint_url=url, **keys)

    def write(self, name, text):
        (self.folder / name).write_text(text)
        return name


def digest_of(manifest):
    return "sha256:" + hashlib.sha256(manifest.encode()).hexdigest()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def answers(url):
    try:
        urllib.request.urlopen(url, timeout=5)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def wait_for(is_so):
    end = time.monotonic() + STARTS_WITHIN_S
    while not is_so():
        assert time.monotonic() < end, "the server did not come up"
        time.sleep(0.05)
