#!/usr/bin/env bash
# Table 1 of Saunshi et al. 2025: addition (left) and p-hop (right). SCALE=paper runs their recipe, SCALE=laptop
# small problems (no numbers of the paper apply to them). Rows that are finished are skipped, rows that were cut go on from their checkpoint.
set -euo pipefail
cd "$(dirname "$0")/.."
source runs/common.sh

if [ "$SCALE" = paper ]; then
    for stages in 12x1 1x1 1x12 2x1 2x6 3x1 3x4; do
        for seed in 0 1 2; do
            row addition_$stages 5000 config/addition_$stages.py --seed=$seed
        done
    done
    table table1_addition --paper=results/paper_table1_addition.csv
    for p in 16 32; do
        for stages in 6x1 1x1 1x6 2x1 2x3 3x1 3x2; do
            row ghop_${stages}_p$p 262000 config/ghop_$stages.py --p=$p
        done
        table table1_phop_p$p --paper=results/paper_table1_phop.csv
    done
else
    for stages in 4x1 1x4 1x1; do
        row addition_laptop_$stages 10000 config/laptop/addition.py --stages=$stages
    done
    table table1_addition_laptop
    for stages in 4x1 1x4 1x1; do
        row ghop_demo_$stages 10000 config/laptop/ghop_demo.py --stages=$stages
    done
    table table1_phop_laptop
fi
