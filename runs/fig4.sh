#!/usr/bin/env bash
# B's Figure 4: length generalization of the looped model and of next-token prediction. SCALE=paper or laptop.
set -euo pipefail
cd "$(dirname "$0")/.."
source runs/lengths.sh

for task in $TASKS; do
    for seed in $SEEDS; do
        for name in ${METHODS:-looped ntp ntp_pause ntp_loop}; do
            method "$task" "$name" "$seed"
        done
    done
    figure "fig4_$task$suffix"
done
