"""Retags with boto3, as someone would who cares for speed: retag.py MAPPING ENDPOINT [--plain]

Manifests are read a hundred at once, sixteen threads share one client and its connections, and the adaptive retry mode
slows down for throttles. With `--plain` each retag reads its own manifest.
"""

import itertools
import sys
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config

THREADS = 16
IDS_PER_CALL = 100


def main():
    mapping, endpoint, *options = sys.argv[1:]
    with open(mapping, encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    retries = {"mode": "adaptive", "total_max_attempts": 10}
    config = Config(max_pool_connections=THREADS, retries=retries)
    ecr = boto3.client("ecr", endpoint_url=endpoint, config=config)

    def read(repository, tags):
        ids = [{"imageTag": tag} for tag in tags]
        answer = ecr.batch_get_image(repositoryName=repository, imageIds=ids)
        if answer["failures"]:
            raise RuntimeError(answer["failures"])
        return {image["imageId"]["imageTag"]: image["imageManifest"] for image in answer["images"]}

    def put(repository, tag, manifest):
        ecr.put_image(repositoryName=repository, imageTag=tag, imageManifest=manifest)

    def plain(row):
        repository, old, new = row
        put(repository, new, read(repository, [old])[old])

    def batches():
        for repository, group in itertools.groupby(sorted(rows), key=lambda row: row[0]):
            targets = {old: new for _, old, new in group}
            tags = list(targets)
            for start in range(0, len(tags), IDS_PER_CALL):
                yield repository, {tag: targets[tag] for tag in tags[start : start + IDS_PER_CALL]}

    with ThreadPoolExecutor(THREADS) as pool:
        if "--plain" in options:
            list(pool.map(plain, rows))
            return
        groups = list(batches())
        manifests = pool.map(lambda group: read(*group), groups)
        puts = []
        for (repository, targets), found in zip(groups, manifests):
            puts += [pool.submit(put, repository, new, found[old]) for old, new in targets.items()]
        for done in puts:
            done.result()


if __name__ == "__main__":
    main()
