#!/usr/bin/env bash
# Table 2 of Saunshi et al. 2025: i-GSM. SCALE=paper runs their recipe, SCALE=laptop small problems (no numbers of
# the paper apply).
set -euo pipefail
cd "$(dirname "$0")/.."
source runs/common.sh

if [ "$SCALE" = paper ]; then
    for stages in 8x1 1x1 1x2 1x4 1x8 2x1 2x2 2x4 4x1 4x2; do
        row igsm_$stages 50000 config/igsm_$stages.py
    done
    table table2_igsm --paper=results/paper_table2_igsm.csv
else
    for stages in 4x1 1x4 1x1; do
        row igsm_laptop_$stages 10000 config/laptop/igsm.py --stages=$stages
    done
    table table2_igsm_laptop
fi
