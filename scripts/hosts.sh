#!/usr/bin/env bash
# Trains on several machines that reach each other by ssh: `scripts/hosts.sh HOST:RANKS,HOST:RANKS … OPTIONS`, such as
# `scripts/hosts.sh alpha:4,beta:4 --data … --out …`; options are those of `siamese train`. The program, built with the
# feature `mpi`, and the data lie at the same path on each. Open MPI takes further settings from its own variables:
# OMPI_MCA_btl_tcp_if_include=10.0.0.0/24 names the network that ranks talk over.
set -euo pipefail
# A machine that cannot be reached any more is missed after a quarter of a minute, instead of after five.
export OMPI_MCA_oob_tcp_keepalive_time=5 OMPI_MCA_oob_tcp_keepalive_intvl=2 OMPI_MCA_oob_tcp_keepalive_probes=3
hosts=$1
shift
# A rank that computes on the processor may use more than one core of it.
exec mpirun --bind-to none --host "$hosts" "${SIAMESE:-siamese}" train --crew mpi "$@"
