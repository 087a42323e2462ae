#!/usr/bin/env bash
# Figure 6: accuracy and confidence of the looped model after every loop, with the step that is chosen.
set -euo pipefail
cd "$(dirname "$0")/.."
source runs/lengths.sh

for task in $TASKS; do
    method "$task" looped "${SEEDS%% *}"
done
python plot.py steps "${folders[@]}" --out="results/fig6$suffix"
