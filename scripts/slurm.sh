#!/usr/bin/env bash
# Trains on the GPUs of several machines under Slurm, a rank on each: `sbatch scripts/slurm.sh --data … --out …`; options
# are those of `siamese train`. The program is built with the feature `mpi`, on a machine with the MPI of the cluster.
#SBATCH --job-name=siamese
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
# What is done by then is saved two minutes before the time is over; `--resume` goes on, with other ranks as well.
#SBATCH --signal=INT@120
set -euo pipefail
# A rank that is gone ends the others. `srun --mpi=list` has the kinds there are: pmix for Open MPI, pmi2 for MPICH.
exec srun --kill-on-bad-exit=1 --mpi="${MPI:-pmix}" "${SIAMESE:-siamese}" train --crew mpi "$@"
