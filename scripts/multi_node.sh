#!/bin/bash
# One run on several machines without a scheduler: start it on each, with the same words.
#   scripts/multi_node.sh FIRST_HOST NODES NUMBER GPUS FOLDER +method=yarn context_length=131072 ...
# Not run: there was one machine. FOLDER lies where all of them see it; NUMBER counts the machines from 0.
set -euo pipefail

if [ "$#" -lt 5 ]; then
    sed -n 's/^# \{0,1\}//; 2,4p' "$0" >&2
    exit 2
fi
first=$1 nodes=$2 number=$3 gpus=$4 folder=$5
shift 5

exec torchrun \
    --nnodes "$nodes" --node-rank "$number" --nproc-per-node "$gpus" \
    --master-addr "$first" --master-port 29500 \
    -m ctxext train hydra.run.dir="$folder" parallel.shard="$((nodes * gpus))" "$@"
