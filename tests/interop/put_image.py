"""`ecr-retag put-image` side by side with `aws ecr put-image`.

Each invocation of the table runs as both programs, each against a sandbox of its own: standard output must be equal
byte for byte, the exit code must be the documented one, and in the end both registries must hold the same.

The AWS CLI that PyPI has is version 1; the program follows version 2. Where they differ is said here: `V1_CODES` are
the exit codes of version 1 for those of version 2, `v1=` is another one, `skip_v1=` is why version 1 is not compared. Name a
version 2 in `$ECR_RETAG_AWS` to compare with that instead; then every row counts, YAML too.
"""

import collections
import concurrent.futures
import dataclasses
import difflib
import hashlib
import io
import json
import os
import pathlib
import re
import subprocess
import sys

REPOSITORY = "hello-world"
USAGE, CONFIGURATION, SERVICE, OTHER = 252, 253, 254, 255
V1_CODES = {0: 0, USAGE: 255, CONFIGURATION: 255, SERVICE: 255, OTHER: 255}

SEED = """\
repositories:
- { names: [hello-world, shop/locked], image: docker, images: [{ name: one, tags: [first] }, { name: two, tags: [second] }] }
- { names: [shop/fixed], mutability: immutable, image: docker, images: [{ name: one, tags: [first] }] }
- { names: [shop/index], image: oci-index, images: [{ name: one, tags: [first] }] }
- { names: [shop/bare], image: bare, images: [{ name: one, tags: [first] }] }
- { names: [shop/pretty], image: pretty, images: [{ name: one, tags: [first] }] }
- { names: [shop/empty], image: docker }
"""

IMAGE = "--repository-name hello-world --image-manifest file://m.json"
V2_ONLY = "an option of version 2"


@dataclasses.dataclass
class Row:
    """One invocation; `{n}` in it is a tag that no other row has."""

    args: str | list
    code: int = 0
    v1: int | None = None
    skip_v1: str = ""
    stdout: str = "equal"
    env: dict = dataclasses.field(default_factory=dict)
    stderr: str | None = None


def put(more="", code=0, **kwargs):
    return Row(f"{IMAGE} --image-tag {{n}} {more}", code, **kwargs)


def usage(args, **kwargs):
    """What argparse refuses: version 1 exits with 2 and is otherwise the same."""
    return Row(args, USAGE, v1=2, **kwargs)


def invalid(args, **kwargs):
    """What is refused before the call."""
    return Row(args, USAGE, **kwargs)


QUERIES = [
    "image",
    "image.imageId",
    "image.imageId.imageTag",
    "image.imageManifest",
    "image.[registryId, repositoryName]",
    "[image.repositoryName, image.[registryId]]",
    "image.{tag: imageId.imageTag, digest: imageId.imageDigest, name: repositoryName}",
    "image.imageId.*",
    "[image.imageId]",
    "[image]",
    "image.[[registryId, repositoryName], [imageId.imageTag, 'x']]",
    "{a: image.imageId, b: image.repositoryName, c: [`1`, `2.5`, `true`, `null`], d: `[]`, e: `{}`}",
    "nothing",
    "length(image.imageId.imageTag)",
    "[`1`, `2`, `1.5`, `1e20`]",
    "sum([`1`, `2`])",
    "avg([`1`, `2`])",
    "[ceil(`1.2`), floor(`1.8`), abs(`-3`)]",
    "image.repositoryName == 'hello-world'",
    "keys(image)",
    "sort(keys(image))",
    "join('/', [image.registryId, image.repositoryName])",
    "to_string(image.imageId)",
    "starts_with(image.imageId.imageDigest, 'sha256')",
    "image.imageId | [imageTag]",
    "`{}`",
    "`[]`",
    "'tabs\tand \u00e9'",
    "{yes: 'yes', no: '012', date: '2019-08-01', colon: 'a: b', long: 'w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w w'}",
]

ROWS = [
    # Each option of the image.
    put(),
    put("--registry-id 123456789012"),
    put("--image-manifest-media-type application/vnd.docker.distribution.manifest.v2+json"),
    put("--image-digest {digest}"),
    put("--image-tag={n}-equals"),
    put("--image-tag {n}-twice"),
    Row(f"{IMAGE.replace('-name', '', 1)} --image-t {{n}}"),
    Row("--image-manifest file://new.json --repository-name hello-world"),
    Row("--image-manifest file://index.json --repository-name shop/index --image-tag {n}"),
    Row("--image-manifest file://bare.json --repository-name shop/bare --image-tag {n} --image-manifest-media-type application/vnd.oci.image.manifest.v1+json"),
    Row("--image-manifest file://pretty.json --repository-name shop/pretty --image-tag {n}"),
    Row(["--repository-name", REPOSITORY, "--image-tag", "{n}", "--image-manifest", "{manifest}"]),
    # Files.
    Row("--repository-name hello-world --image-tag {n} --image-manifest file://newline.json"),
    Row("--repository-name hello-world --image-tag {n} --image-manifest file://crlf.json", stderr="CRLF"),
    Row("--repository-name hello-world --image-tag {n} --image-manifest file://utf8.json"),
    Row("--repository-name hello-world --image-tag {n} --image-manifest file://$FOLDER/m.json"),
    Row("--repository-name hello-world --image-tag {n} --image-manifest file://${FOLDER}/m.json"),
    Row("--repository-name hello-world --image-tag {n} --image-manifest file://~/m.json"),
    Row("--repository-name file://name.txt --image-tag {n} --image-manifest file://m.json"),
    invalid("--repository-name hello-world --image-manifest file://no-such-file"),
    invalid("--repository-name hello-world --image-manifest file://."),
    invalid("--repository-name hello-world --image-manifest file://latin1.json"),
    Row("--repository-name file://name-newline.txt --image-manifest file://m.json", SERVICE),
    # Every output format.
    *[put(f"--output {output}") for output in ("json", "text", "table")],
    *[put(f"--output {output}", skip_v1="yaml") for output in ("yaml", "yaml-stream")],
    *[put(env={"AWS_DEFAULT_OUTPUT": output}) for output in ("json", "text", "table")],
    put("--output table --color on"),
    put("--output table --color off"),
    put("--output json --color on"),
    put("--no-paginate"),
    put("--no-cli-pager", skip_v1=V2_ONLY),
    put("--no-cli-auto-prompt", skip_v1=V2_ONLY),
    put("--cli-binary-format base64", skip_v1=V2_ONLY),
    put("--cli-binary-format raw-in-base64-out", skip_v1=V2_ONLY),
    put("--debug", stderr="imageManifest"),
    put("--no-verify-ssl"),
    put("--cli-read-timeout 0 --cli-connect-timeout 0"),
    put("--cli-read-timeout 5 --cli-connect-timeout 5"),
    put("--region eu-west-1", SERVICE),
    put("--profile other", CONFIGURATION, env={"AWS_CONFIG_FILE": "{folder}/config"}),
    put("--profile keys", env={"AWS_CONFIG_FILE": "{folder}/config"}),
    put("--profile keys", SERVICE, env={"AWS_CONFIG_FILE": "{folder}/config", "AWS_REGION": None, "AWS_DEFAULT_REGION": None}),
    put(env={"AWS_CONFIG_FILE": "{folder}/config", "AWS_PROFILE": "other"}),
    # JMESPath, in every format.
    *[
        Row([*IMAGE.split(), "--image-tag", "{n}", "--query", query, "--output", output], skip_v1=skip_v1)
        for number, query in enumerate(QUERIES)
        for output, skip_v1 in (("json", ""), ("text", ""), ("table", ""), ("yaml", "yaml"))
        # Two calls of version 1 each.
        if output != "yaml" or number % 3 == 2
    ],
    # As YAML, version 2 writes what it meets twice as an anchor and an alias.
    *[
        Row([*IMAGE.split(), "--image-tag", "{n}", "--query", "[image.imageId, image.imageId]", "--output", output])
        for output in ("json", "text", "table")
    ],
    *[
        Row([*IMAGE.split(), "--image-tag", "{n}", "--query", query, "--output", "yaml-stream"], skip_v1="yaml")
        for query in ("image", "[image.imageId]", "nothing", "`{}`")
    ],
    *[
        Row([*IMAGE.split(), "--image-tag", "{n}", "--query", "image.[repositoryName, imageId]", "--output", output], OTHER)
        for output in ("text", "table")
    ],
    Row([*IMAGE.split(), "--image-tag", "{n}", "--query", "["], USAGE),
    Row([*IMAGE.split(), "--image-tag", "{n}", "--query", "nothing(@)"], OTHER),
    Row([*IMAGE.split(), "--image-tag", "{n}", "--query", "abs(image)"], OTHER),
    Row([*IMAGE.split(), "--image-tag", "{n}", "--query", "[['a','b'],['c']]", "--output", "table"], OTHER),
    # Skeletons and whole inputs.
    Row("--generate-cli-skeleton"),
    Row("--generate-cli-skeleton input"),
    Row("--generate-cli-skeleton input --repository-name hello-world --output text"),
    Row("--generate-cli-skeleton yaml-input", skip_v1=V2_ONLY),
    Row("--generate-cli-skeleton output --repository-name ab --image-manifest x"),
    Row("--generate-cli-skeleton output --repository-name ab --image-manifest x --output text"),
    Row("--generate-cli-skeleton output --repository-name ab --image-manifest x --query image.imageId"),
    usage("--generate-cli-skeleton output --repository-name ab"),
    invalid("--generate-cli-skeleton output --repository-name a --image-manifest x"),
    usage("--generate-cli-skeleton everything"),
    Row(["--cli-input-json", '{"repositoryName": "hello-world", "imageManifest": {manifest_json}, "imageTag": "{n}"}']),
    Row("--cli-input-json file://input.json --image-tag {n}"),
    Row("--cli-input-json file://input.json --image-tag {n} --repository-name shop/locked", SERVICE),
    invalid("--cli-input-json file://no-such-file"),
    Row(["--cli-input-yaml", "{repositoryName: hello-world, imageManifest: {manifest_json}, imageTag: '{n}'}"], skip_v1=V2_ONLY),
    Row("--cli-input-yaml file://input.yaml --image-tag {n}", skip_v1=V2_ONLY),
    Row(["--cli-input-yaml", "repositoryName: hello-world\nimageManifest: x\nimageTag: 2019-08-01"], USAGE, skip_v1=V2_ONLY),
    Row(["--cli-input-yaml", "["], USAGE, skip_v1=V2_ONLY),
    Row(["--cli-input-yaml", "x"], USAGE, skip_v1=V2_ONLY),
    Row(["--cli-input-json", "{}", "--cli-input-yaml", "{}"], USAGE, skip_v1=V2_ONLY),
    Row(["--cli-input-json", "["], USAGE),
    Row(["--cli-input-json", "[]"], USAGE),
    Row(["--cli-input-json", "{}"], USAGE),
    Row(["--cli-input-json", '{"repositoryName": 5, "imageManifest": null, "x": 1}'], USAGE),
    # What is missing, contradictory or unknown.
    usage(""),
    usage("--repository-name hello-world"),
    usage("--image-manifest file://m.json"),
    usage(f"{IMAGE} --image-tag"),
    invalid(f"{IMAGE} --no-such-option"),
    invalid(f"{IMAGE} unexpected"),
    usage(f"{IMAGE} --output xml"),
    usage(f"{IMAGE} --color maybe"),
    Row(f"{IMAGE} --cli-auto-prompt --no-cli-auto-prompt", USAGE, skip_v1=V2_ONLY),
    invalid("--repository-name a --image-manifest x"),
    Row(["--repository-name", "hello-world", "--image-manifest", ""], USAGE),
    Row([*IMAGE.split(), "--image-tag", ""], USAGE),
    # Configuration.
    put("--profile no-such-profile", OTHER),
    put("", OTHER, env={"AWS_PROFILE": "no-such-profile"}),
    put("--region not/a/region", OTHER),
    put("", CONFIGURATION, env={"AWS_REGION": None, "AWS_DEFAULT_REGION": None}),
    put("", CONFIGURATION, env={"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}),
    Row(f"{IMAGE} --image-tag {{n}} --endpoint-url nonsense", USAGE),
    Row(f"{IMAGE} --image-tag {{n}} --endpoint-url http://127.0.0.1:9", OTHER, env={"AWS_MAX_ATTEMPTS": "1"}),
    # Each error of PutImage.
    Row(f"{IMAGE} --image-tag first", SERVICE),
    Row(IMAGE, SERVICE),
    Row("--repository-name no/such --image-manifest file://m.json --image-tag {n}", SERVICE),
    Row("--repository-name Not_A_Name --image-manifest file://m.json --image-tag {n}", SERVICE),
    Row("--repository-name shop/fixed --image-manifest file://fixed.json --image-tag first", SERVICE),
    Row("--repository-name shop/fixed --image-manifest file://fixed.json --image-tag {n}"),
    Row("--repository-name shop/empty --image-manifest file://m.json --image-tag {n}", SERVICE),
    Row("--repository-name shop/empty --image-manifest file://index.json --image-tag {n}", SERVICE),
    Row("--repository-name shop/bare --image-manifest file://bare.json --image-tag {n}", SERVICE),
    put("--image-digest sha256:0000000000000000000000000000000000000000000000000000000000000000", SERVICE),
    put("--image-digest nonsense", SERVICE),
    put("--registry-id 000000000000", SERVICE),
    put("--image-manifest-media-type text/plain", SERVICE),
    Row("--repository-name hello-world --image-manifest nonsense --image-tag {n}", SERVICE),
    Row([*IMAGE.split(), "--image-tag", "not a tag"], SERVICE),
    put("--no-sign-request", SERVICE),
]

# What is tried again, and what is said in the end: faults by tag, the same in both sandboxes.
FAULT_RULE = "{ match: { operation: PutImage, tag: %s }, times: %d, action: %s }"
FAULTS = "rules:\n" + "".join(
    f"- {FAULT_RULE % fault}\n"
    for fault in [
        ("throttled-once", 1, "{ throttle: {} }"),
        ("failed-once", 1, "server-error"),
        ("unavailable-twice", 2, "unavailable"),
        ("dropped-once", 1, "drop-before"),
        ("throttled", 9, "{ throttle: {} }"),
        ("failed", 9, "server-error"),
        ("unavailable", 9, "unavailable"),
        ("denied", 1, "deny"),
        ("expired", 1, "{ error: { status: 400, code: ExpiredTokenException, message: expired } }"),
        ("kms", 1, "{ error: { status: 400, code: KmsException, message: no key } }"),
        ("silent", 1, "{ error: { status: 400, code: InvalidParameterException } }"),
    ]
)
FAULT_ROWS = [
    *[Row(f"{IMAGE} --image-tag {tag}") for tag in ("throttled-once", "failed-once", "unavailable-twice", "dropped-once")],
    *[
        Row(f"{IMAGE} --image-tag {tag}", SERVICE)
        for tag in ("throttled", "failed", "unavailable", "denied", "expired", "kms", "silent")
    ],
]


class Side:
    """One program and its registry."""

    def __init__(self, world, command, url):
        self.world, self.command, self.url = world, command, url

    def run(self, row, tag, values):
        values = dict(values, n=tag)
        fill = lambda text: re.sub(r"\{(n|folder|digest|manifest|manifest_json)\}", lambda it: values[it[1]], text)
        args = [fill(arg) for arg in (row.args.split() if isinstance(row.args, str) else row.args)]
        env = dict(self.world.env, HOME=values["folder"], FOLDER=values["folder"], PYTHONWARNINGS="ignore")
        env.update({name: fill(value) for name, value in row.env.items() if value is not None})
        env = {name: value for name, value in env.items() if row.env.get(name, "") is not None}
        if "--endpoint-url" not in args:
            args = [*args, "--endpoint-url", self.url]
        options = {"cwd": self.world.folder, "env": env, "stdin": subprocess.DEVNULL, "capture_output": True}
        return subprocess.run([*self.command, *args], timeout=120, **options)


def reference(world):
    """The AWS CLI and its major version."""
    aws = os.environ.get("ECR_RETAG_AWS", str(pathlib.Path(sys.executable).parent / "aws"))
    said = subprocess.run([aws, "--version"], capture_output=True, text=True, env=world.env, check=True)
    return [aws, "ecr", "put-image"], int(re.match(r"aws-cli/(\d+)", said.stdout + said.stderr)[1])


def yaml_of(row, theirs, tag, values):
    """What version 2 prints as YAML, made from the JSON of version 1 with the library that version 2 has for it."""
    from ruamel.yaml import YAML

    args = row.args.split() if isinstance(row.args, str) else row.args
    as_json = dataclasses.replace(row, args=["json" if arg.startswith("yaml") else arg for arg in args])
    result = theirs.run(as_json, tag, values)
    value = json.loads(result.stdout) if result.stdout else {}
    stream = io.StringIO()
    if value != {}:
        value = [value] if "yaml-stream" in args else value
        if isinstance(value, (dict, list)):
            yaml = YAML(typ="safe")
            yaml.encoding = None
            yaml.representer.default_flow_style = False
            yaml.dump(value, stream)
        else:
            stream.write(json.dumps(value, ensure_ascii=False) + "\n")
    return subprocess.CompletedProcess([], result.returncode, stream.getvalue().encode(), result.stderr)


def error_line(stderr):
    lines = stderr.decode().splitlines()
    return next((line for line in lines if line.startswith("An error occurred")), None)


def compare(row, ours, theirs, version, tag, values):
    """What is wrong with an invocation, in words."""
    got = ours.run(row, tag, values)
    said = got.stderr.decode()
    wrong = []
    if got.returncode != row.code:
        wrong.append(f"exit code {got.returncode}, documented is {row.code}: {said.strip()}")
    if row.code == 0 and row.stderr is None and said:
        wrong.append(f"standard error: {said!r}")
    if row.stderr is not None and row.stderr not in said:
        wrong.append(f"standard error lacks {row.stderr!r}: {said!r}")
    if row.code != 0 and got.stdout:
        wrong.append(f"standard output in spite of an error: {got.stdout!r}")
    if row.code in (SERVICE, OTHER) and not said.startswith("\n"):
        wrong.append(f"the error has no empty line before it: {said!r}")
    if version == 1 and row.skip_v1 == "yaml":
        expected = yaml_of(row, theirs, tag, values)
    elif version == 1 and row.skip_v1:
        # The registries stay alike.
        return wrong + mirror(row, got, theirs, tag, values)
    else:
        expected = theirs.run(row, tag, values)
    code = row.code if version == 2 else V1_CODES[row.code] if row.v1 is None else row.v1
    if expected.returncode != code:
        wrong.append(f"the AWS CLI exits with {expected.returncode}, expected is {code}: {expected.stderr.decode()}")
    if got.stdout != expected.stdout:
        ours_lines, their_lines = (out.decode().splitlines() for out in (got.stdout, expected.stdout))
        wrong.extend(["standard output differs:", *difflib.unified_diff(their_lines, ours_lines, "aws", "ours", lineterm="")])
    if error_line(got.stderr) != error_line(expected.stderr):
        wrong.append(f"error line {error_line(got.stderr)!r}, the AWS CLI has {error_line(expected.stderr)!r}")
    return wrong


def mirror(row, got, theirs, tag, values):
    """Puts with version 1 what the program has put with an option that version 1 lacks."""
    if row.code != 0 or b"imageManifest" not in got.stdout or b"imageId" not in got.stdout:
        return []
    result = theirs.run(put(), tag, values)
    return [] if result.returncode == 0 else [f"version 1 cannot follow: {result.stderr.decode()}"]


def state(world, url):
    """All that a registry holds, by its own account."""
    client = world.boto3(url)
    found = {}
    for repository in client.describe_repositories(maxResults=1000)["repositories"]:
        name = repository["repositoryName"]
        details = client.describe_images(repositoryName=name, maxResults=1000)["imageDetails"]
        found[name] = sorted((d["imageDigest"], d["imageManifestMediaType"], sorted(d.get("imageTags", []))) for d in details)
    return found


def prepare(world, url):
    """The files that the table names, and the texts."""
    client = world.boto3(url)

    def manifest(repository):
        ids = [{"imageTag": "first"}]
        return client.batch_get_image(repositoryName=repository, imageIds=ids)["images"][0]["imageManifest"]

    text = manifest(REPOSITORY)
    other = json.dumps(dict(json.loads(text), annotations={"name": "\u00e9\u4e16"}), ensure_ascii=False, indent=2)
    files = {
        "m.json": text,
        "new.json": text.replace("{", "{ ", 1),
        "newline.json": text + "\n",
        "crlf.json": other.replace("\n", "\r\n"),
        "utf8.json": other + "\n\n",
        "index.json": manifest("shop/index"),
        "bare.json": manifest("shop/bare"),
        "pretty.json": manifest("shop/pretty"),
        "fixed.json": manifest("shop/fixed"),
        "name.txt": REPOSITORY,
        "name-newline.txt": REPOSITORY + "\n",
        "config": "[profile other]\noutput = text\n"
        "[profile keys]\noutput = text\nregion = eu-west-1\naws_access_key_id = test\naws_secret_access_key = test\n",
    }
    for name, content in files.items():
        (world.folder / name).write_bytes(content.encode())
    (world.folder / "latin1.json").write_bytes(b'{"a": "\xe9"}')
    members = {"repositoryName": REPOSITORY, "imageManifest": text, "imageTag": "of-input"}
    world.write("input.json", json.dumps(members))
    world.write("input.yaml", f"repositoryName: {REPOSITORY}\nimageManifest: {json.dumps(text)}\nimageTag: of-input\n")
    return {
        "folder": str(world.folder),
        "manifest": text,
        "manifest_json": json.dumps(text),
        "digest": "sha256:" + hashlib.sha256(text.encode()).hexdigest(),
    }


def sides(world, *options):
    world.write("seed.yaml", SEED)
    aws, version = reference(world)
    ours, theirs = (world.sandbox("--seed", "seed.yaml", *options) for _ in range(2))
    return Side(world, [world.binary(), "put-image"], ours), Side(world, aws, theirs), version


def test_every_invocation_is_like_the_aws_clis(world):
    ours, theirs, version = sides(world)
    values = prepare(world, ours.url)
    assert len(ROWS) >= 60
    skipped = collections.Counter(row.skip_v1 for row in ROWS if version == 1 and row.skip_v1)

    def difference(number):
        found = compare(ROWS[number], ours, theirs, version, f"t{number}", values)
        return "\n  ".join([f"row {number}: {ROWS[number].args}", *found]) if found else None

    # No row depends on another, and the AWS CLI takes its time to start.
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        wrong = [found for found in pool.map(difference, range(len(ROWS))) if found]
    print(f"{len(ROWS)} invocations side by side with version {version} of the AWS CLI; not in it: {dict(skipped)}")
    assert not wrong, "\n" + "\n".join(wrong)
    assert state(world, ours.url) == state(world, theirs.url), "the registries differ in the end"


def test_what_fails_in_passing_is_tried_as_often(world):
    world.write("faults.yaml", FAULTS)
    ours, theirs, version = sides(world, "--faults", "faults.yaml")
    values = prepare(world, ours.url)
    world.env["AWS_RETRY_MODE"] = "standard"
    wrong = []
    for row in FAULT_ROWS:
        wrong += [f"{row.args}: {found}" for found in compare(row, ours, theirs, version, "", values)]
    assert not wrong, "\n" + "\n".join(wrong)
    assert state(world, ours.url) == state(world, theirs.url)


def test_an_image_that_is_there_is_no_error_if_told_so(world):
    url = world.sandbox("--seed", world.write("seed.yaml", SEED))
    prepare(world, url)
    for repository, file, tag in [
        (REPOSITORY, "m.json", "first"),
        (REPOSITORY, "m.json", "new"),
        (REPOSITORY, "m.json", None),
        ("shop/fixed", "fixed.json", "first"),
        ("shop/index", "index.json", "first"),
    ]:
        put_image = ["put-image", "--endpoint-url", url, "--repository-name", repository, "--image-manifest", f"file://{file}"]
        put_image += ["--image-tag", tag] if tag else []
        first = world.run(*put_image, "--idempotent")
        assert first.returncode == 0, first.stderr
        again = world.run(*put_image, "--idempotent")
        assert (again.returncode, again.stdout) == (0, first.stdout), again.stderr
        strict = world.run(*put_image)
        assert strict.returncode == SERVICE, strict.stderr
    moved = ["put-image", "--endpoint-url", url, "--repository-name", "shop/fixed", "--image-manifest"]
    moved += [(world.folder / "fixed.json").read_text() + "\n", "--image-tag", "first", "--idempotent"]
    refused = world.run(*moved)
    assert refused.returncode == SERVICE and "ImageTagAlreadyExistsException" in refused.stderr, refused.stderr


def test_the_recipe_of_aws_works_in_both_directions(world):
    url = world.sandbox("--seed", world.write("seed.yaml", SEED))
    values = prepare(world, url)
    ids = ["--repository-name", REPOSITORY, "--image-ids", "imageTag=first"]
    read = world.aws(url, "batch-get-image", *ids, "--query", "images[].imageManifest", "--output", "text").stdout
    (world.folder / "manifest.json").write_text(read.removesuffix("\n"))
    image = ["--repository-name", REPOSITORY, "--image-manifest", "file://manifest.json"]
    ours = world.run("put-image", "--endpoint-url", url, *image, "--image-tag", "2019.08")
    assert json.loads(ours.stdout)["image"]["imageId"] == {"imageDigest": values["digest"], "imageTag": "2019.08"}
    picked = world.run("put-image", "--endpoint-url", url, *image, "--image-tag", "x", "--query", "image.imageManifest", "--output", "text")
    (world.folder / "ours.json").write_text(picked.stdout.removesuffix("\n"))
    image = ["--repository-name", REPOSITORY, "--image-manifest", "file://ours.json", "--image-tag", "y"]
    theirs = world.aws_json(url, "put-image", *image)
    assert theirs["image"]["imageId"]["imageDigest"] == values["digest"]


def test_secrets_are_not_in_the_wire_log(world):
    url = world.sandbox("--seed", world.write("seed.yaml", SEED))
    prepare(world, url)
    secrets = {"AWS_SECRET_ACCESS_KEY": "very-secret", "AWS_SESSION_TOKEN": "session-secret"}
    image = ["--repository-name", REPOSITORY, "--image-manifest", "file://m.json", "--image-tag", "logged"]
    logged = world.run("put-image", "--endpoint-url", url, *image, "--debug", env=secrets)
    assert logged.returncode == 0 and "Signature=***" in logged.stderr, logged.stderr
    assert "very-secret" not in logged.stderr and "session-secret" not in logged.stderr
