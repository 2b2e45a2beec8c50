#!/usr/bin/env bash
# Start vLLM with one of the configurations of this folder: ./serve.sh single|tensor_parallel|ray [vllm options]
# Not run here; see README.md.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
kind="${1:-}"
case "$kind" in
  single | tensor_parallel | ray) shift ;;
  *)
    echo "usage: $0 single|tensor_parallel|ray [vllm options]" >&2
    exit 2
    ;;
esac
# vLLM reads the key from this variable; on the command line every user of the machine could read it.
key="${VLLM_API_KEY:-}"
if [ "${#key}" -lt 16 ]; then
  echo "$0: VLLM_API_KEY is not set, or shorter than 16 characters; put the API key there" >&2
  exit 2
fi
exec vllm serve --config "$here/$kind.yaml" "$@"
