"""The AWS CLI and boto3 against `sandbox serve`."""

from world import digest_of

API = "shop/api"


def test_the_aws_cli_lists_every_tag_whatever_the_page_size(world):
    url = world.sandbox()
    listed = {}
    for size in (1, 7, 1000):
        pages = world.aws_json(url, "list-images", "--repository-name", API, "--page-size", str(size))
        listed[size] = sorted((i.get("imageTag", ""), i["imageDigest"]) for i in pages["imageIds"])
        if size == 1:
            break_off = world.aws_json(url, "list-images", "--repository-name", API, "--max-items", "3")
            assert len(break_off["imageIds"]) == 3 and break_off["NextToken"]
    assert listed[1] == listed[7] == listed[1000] and len(listed[1]) > 80


def test_boto3_pages_as_ecr_does(world):
    client = world.boto3(world.sandbox())
    pages = list(client.get_paginator("list_images").paginate(repositoryName=API))
    assert all(len(page["imageIds"]) <= 100 for page in pages) and len(pages) >= 1
    largest = client.list_images(repositoryName=API, maxResults=1000)
    assert "nextToken" not in largest
    assert sum(len(page["imageIds"]) for page in pages) == len(largest["imageIds"])
    details = client.get_paginator("describe_images").paginate(repositoryName=API)
    tags = {tag for page in details for image in page["imageDetails"] for tag in image.get("imageTags", [])}
    assert tags == {i["imageTag"] for i in largest["imageIds"] if "imageTag" in i}


def test_describe_images_says_when_and_what(world):
    url = world.sandbox()
    found = world.aws_json(url, "describe-images", "--repository-name", API, "--image-ids", "imageTag=stable")
    (image,) = found["imageDetails"]
    assert image["imagePushedAt"] and image["imageManifestMediaType"].startswith("application/vnd.")
    assert "stable" in image["imageTags"] and "1.7.3" in image["imageTags"]


def test_the_retag_recipe_of_aws_keeps_the_digest(world):
    url = world.sandbox()
    ids = ["--repository-name", API, "--image-ids", "imageTag=1.8.0-rc.3"]
    read = world.aws(url, "batch-get-image", *ids, "--query", "images[].imageManifest", "--output", "text")
    manifest = read.stdout.rstrip("\n")
    put = ["--repository-name", API, "--image-tag", "recipe", "--image-manifest", manifest]
    image = world.aws_json(url, "put-image", *put)["image"]
    assert image["imageId"] == {"imageDigest": digest_of(manifest), "imageTag": "recipe"}
    again = world.aws(url, "put-image", *put)
    assert again.returncode != 0 and "(ImageAlreadyExistsException)" in again.stderr, again.stderr


def test_errors_have_their_codes(world):
    client = world.boto3(world.sandbox())
    error = client.exceptions
    for call, expected in [
        (lambda: client.list_images(repositoryName="no/such"), error.RepositoryNotFoundException),
        (lambda: client.describe_images(repositoryName=API, imageIds=[{"imageTag": "x"}]), error.ImageNotFoundException),
        (lambda: client.put_image(repositoryName=API, imageManifest="{", imageTag="x"), error.InvalidParameterException),
        (lambda: client.put_image(**moved(client)), error.ImageTagAlreadyExistsException),
        (lambda: client.put_image(**changed(client)), error.ImageDigestDoesNotMatchException),
    ]:
        try:
            call()
        except expected:
            continue
        raise AssertionError(f"{expected} was not raised")
    failures = client.batch_get_image(repositoryName=API, imageIds=[{"imageTag": "x"}])["failures"]
    assert failures[0]["failureCode"] == "ImageNotFound"


def moved(client):
    """A move of a tag in an immutable repository."""
    name = "payments/ledger"
    ids = [i for i in client.list_images(repositoryName=name)["imageIds"] if "imageTag" in i][:2]
    images = client.batch_get_image(repositoryName=name, imageIds=[{"imageDigest": ids[0]["imageDigest"]}])["images"]
    return {"repositoryName": name, "imageManifest": images[0]["imageManifest"], "imageTag": ids[1]["imageTag"]}


def changed(client):
    """A manifest with a newline too many, and the digest it had without."""
    images = client.batch_get_image(repositoryName=API, imageIds=[{"imageTag": "stable"}])["images"]
    manifest, digest = images[0]["imageManifest"], images[0]["imageId"]["imageDigest"]
    return {"repositoryName": API, "imageManifest": manifest + "\n", "imageDigest": digest, "imageTag": "x"}


def test_what_the_program_wrote_is_what_boto3_reads(world):
    url = world.sandbox()
    client = world.boto3(url)
    rule = "version: 1\nrules:\n- { name: a, repositories: shop/api, from: stable, to: 'proved-${short_digest}' }\n"
    plan = world.write("plan.yaml", rule)
    applied = world.run("apply", plan, "--auto-approve", "--endpoint-url", url, "--put-rate", "1000")
    assert applied.returncode == 0, applied.stderr
    images = client.batch_get_image(repositoryName=API, imageIds=[{"imageTag": "stable"}])["images"]
    digest = images[0]["imageId"]["imageDigest"]
    tag = "proved-" + digest.removeprefix("sha256:")[:12]
    proved = client.batch_get_image(repositoryName=API, imageIds=[{"imageTag": tag}])["images"]
    assert digest_of(proved[0]["imageManifest"]) == digest
