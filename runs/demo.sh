#!/usr/bin/env bash
# One layer, one layer looped four times, four layers: the same p-hop problems, steps and hyperparameters.
# SEEDS="0 1 2" runs each with three seeds; runs that are finished are not trained again.
set -euo pipefail
cd "$(dirname "$0")/.."

folders=()
for seed in ${SEEDS:-0}; do
    for stages in 1x1 1x4 4x1; do
        folder=out/demo_${stages}_seed$seed
        python train.py config/laptop/ghop_demo.py --stages=$stages --seed=$seed --out_dir="$folder" --resume=auto
        python eval_tasks.py "$folder"
        folders+=("$folder")
    done
done
python plot.py demo "${folders[@]}" --out=out/demo
