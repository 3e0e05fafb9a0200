#!/usr/bin/env bash
# The recipe of the ECR user guide ("Retagging an image in Amazon ECR"), for each line REPOSITORY FROM TO of a file.
#
#   recipe.sh MAPPING ENDPOINT [PROCESSES]
set -euo pipefail
mapping=$1 endpoint=$2 processes=${3:-1}

retag() {
  local manifest
  manifest=$(aws ecr batch-get-image --endpoint-url "$1" --repository-name "$2" --image-ids imageTag="$3" \
    --output text --query 'images[].imageManifest')
  aws ecr put-image --endpoint-url "$1" --repository-name "$2" --image-tag "$4" --image-manifest "$manifest" > /dev/null
}
export -f retag

if [ "$processes" -eq 1 ]; then
  while read -r repository from to; do
    retag "$endpoint" "$repository" "$from" "$to"
  done < "$mapping"
else
  # shellcheck disable=SC2016
  xargs -P "$processes" -L 1 bash -c 'retag "$0" "$@"' "$endpoint" < "$mapping"
fi
