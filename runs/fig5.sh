#!/usr/bin/env bash
# B's Figure 5: the looped model against full-answer prediction without loops, and without input injection.
set -euo pipefail
cd "$(dirname "$0")/.."
source runs/lengths.sh

for task in $TASKS; do
    for seed in $SEEDS; do
        for name in ${METHODS:-looped looped_wo fap fap_pause}; do
            method "$task" "$name" "$seed"
        done
    done
    figure "fig5_$task$suffix"
done
