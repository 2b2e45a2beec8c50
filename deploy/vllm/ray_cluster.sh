#!/usr/bin/env bash
# Join a machine to a Ray cluster, until interrupted:
#   ./ray_cluster.sh head OWN_ADDRESS                  on the first machine
#   ./ray_cluster.sh worker OWN_ADDRESS HEAD_ADDRESS   on every other one
# The addresses belong to a private network: see README.md. Not run here.
set -euo pipefail

port="${RAY_PORT:-6379}"
role="${1:-}"
own="${2:-}"
case "$role:$#" in
  head:2) join=(--head "--port=$port") ;;
  worker:3) join=("--address=$3:$port") ;;
  *)
    echo "usage: $0 head OWN_ADDRESS | $0 worker OWN_ADDRESS HEAD_ADDRESS" >&2
    exit 2
    ;;
esac
export VLLM_HOST_IP="$own" # of this machine, and a different one on each
exec ray start "${join[@]}" "--node-ip-address=$own" --block
