#!/bin/bash
# One run on several GPUs of a SLURM cluster: sbatch scripts/slurm.sh +method=yarn context_length=131072 ...
# Not run: there was no cluster. Name the run's folder yourself (FOLDER=...), so that a job that is queued again goes on in it.
#SBATCH --job-name=ctxext
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --signal=B:USR1@300
#SBATCH --open-mode=append
set -euo pipefail

folder=${FOLDER:-outputs/slurm/${SLURM_JOB_ID}}
gpus=${SLURM_GPUS_ON_NODE:-8}
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)

# Five minutes before the time is up each rank saves at the same step, and the job is queued again unless it is done.
# torchrun itself would die of USR1: it ignores it, and its processes, which listen to it, are told.
tell() {
    echo "time is nearly up: saving, then queued again"
    scancel --signal=USR1 "$SLURM_JOB_ID.0" || true
    wait "$run" || scontrol requeue "$SLURM_JOB_ID"
}
trap tell USR1

srun bash -c 'trap "" USR1; exec torchrun "$@"' torchrun \
    --nnodes "$SLURM_NNODES" --nproc-per-node "$gpus" \
    --rdzv-backend c10d --rdzv-id "$SLURM_JOB_ID" --rdzv-endpoint "$first:29500" \
    -m ctxext train \
    parallel.data=1 parallel.shard="$gpus" parallel.context="$SLURM_NNODES" \
    hydra.run.dir="$folder" "$@" &
run=$!
wait "$run"
