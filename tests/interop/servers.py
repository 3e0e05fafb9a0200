"""The program against servers that others wrote, as far as they are right about ECR.

`ministack` computes digests rightly, and lists only the last tag of an image; so each image has one tag here. `moto`
makes up digests, so that applying must refuse.
"""

import pathlib
import sys

from world import digest_of

REPOSITORIES = ["team/one", "team/two"]
PLAN = """\
version: 1
rules:
  - name: strip the prefix
    repositories: team/*
    from: v*
    to: release-${tag}
"""


def scripts(name):
    return str(pathlib.Path(sys.executable).parent / name)


def fill(client):
    """Two repositories with three images of one tag each; gives the tags with their digests."""
    tags = {}
    for repository in REPOSITORIES:
        client.create_repository(repositoryName=repository)
        for number in range(3):
            manifest = image_manifest(f"{repository} {number}")
            kind = "application/vnd.docker.distribution.manifest.v2+json"
            put = {"imageManifest": manifest, "imageManifestMediaType": kind, "imageTag": f"v1.{number}"}
            answer = client.put_image(repositoryName=repository, **put)
            tags[repository, f"v1.{number}"] = answer["image"]["imageId"]["imageDigest"]
    return tags


def image_manifest(text):
    layer = digest_of(text)
    return (
        '{"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json",'
        '"config":{"mediaType":"application/vnd.docker.container.image.v1+json","size":7,'
        f'"digest":"{digest_of(text + "config")}"}},'
        '"layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","size":9,'
        f'"digest":"{layer}"}}]}}'
    )


def digest_at(client, repository, tag):
    images = client.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": tag}])["images"]
    return images[0]["imageId"]["imageDigest"] if images else None


def test_ministack_is_planned_and_applied(world):
    env = {"BIND_HOST": "127.0.0.1", "GATEWAY_PORT": "{port}"}
    url = world.serve([scripts("ministack")], env)
    client = world.boto3(url)
    tags = fill(client)
    plan = world.write("plan.yaml", PLAN)
    planned = world.run("plan", plan, "--endpoint-url", url, "--detailed-exitcode")
    assert planned.returncode == 2, planned.stderr
    assert "Plan: 6 to add, 0 to change, 0 to destroy." in planned.stdout, planned.stdout
    applied = world.run("apply", plan, "--endpoint-url", url, "--auto-approve", "--put-rate", "100")
    assert applied.returncode == 0, applied.stderr + applied.stdout
    assert "Apply complete! Tags: 6 added, 0 changed, 0 destroyed." in applied.stdout, applied.stdout
    for (repository, tag), digest in tags.items():
        assert digest_at(client, repository, f"release-{tag}") == digest
        assert digest_at(client, repository, tag) == digest


def test_moto_is_planned_and_its_digests_are_refused(world):
    url = world.serve([scripts("moto_server"), "-H", "127.0.0.1", "-p", "{port}"])
    client = world.boto3(url)
    fill(client)
    plan = world.write("plan.yaml", PLAN)
    planned = world.run("plan", plan, "--endpoint-url", url, "--detailed-exitcode")
    assert planned.returncode == 2, planned.stderr
    assert "Plan: 6 to add, 0 to change, 0 to destroy." in planned.stdout, planned.stdout
    applied = world.run("apply", plan, "--endpoint-url", url, "--auto-approve", "--put-rate", "100")
    assert applied.returncode == 3, applied.stderr
    assert "Apply incomplete!" in applied.stdout, applied.stdout
    assert "has the digest sha256:" in applied.stdout + applied.stderr, applied.stdout + applied.stderr
    for repository in REPOSITORIES:
        assert digest_at(client, repository, "release-v1.0") is None


def test_nothing_that_answers_is_one_clear_error(world):
    plan = world.write("plan.yaml", PLAN)
    planned = world.run("plan", plan, "--endpoint-url", "http://127.0.0.1:9")
    assert planned.returncode == 1
    assert planned.stderr.count("Error: ") == 1, planned.stderr
