#!/usr/bin/env bash
# The language models of Saunshi et al. 2025 on the Pile, with downstream scores: Tables 3 to 8, Figure 1, the scaling law. One model at a
# time on the GPUs of this machine (NPROC, all by default); what is finished is skipped, what was cut goes on. Each
# takes days of 8 H100: `python train.py config/pile_24x1.py --dry_run=True`. MODELS="12x1 12x2" takes fewer.
set -euo pipefail
cd "$(dirname "$0")/.."

NPROC=${NPROC:-$(python -c 'import torch; print(max(1, torch.cuda.device_count()))')}
TABLES="24x1 12x1 12x2 middle 8x1 8x3 6x1 6x4 4x1 4x6 reg4 reg4_lambda1 reg6 reg8 reg12"
DEPTHS="4x2 4x3 4x9 4x12 16x1 36x1 48x1"
folders=() depths=()
for name in ${MODELS:-$TABLES $DEPTHS}; do
    folder=out/pile_$name
    torchrun --nproc_per_node="$NPROC" train.py config/pile_"$name".py --resume=auto
    torchrun --nproc_per_node="$NPROC" eval_downstream.py "$folder" --checkpoint=all
    case " $TABLES " in *" $name "*) folders+=("$folder") ;; esac
    case $name in middle | reg*) ;; 4x* | *x1) depths+=("$folder") ;; esac
done
[ ${#folders[@]} = 0 ] || python plot.py downstream "${folders[@]}" --out=results/table3
[ ${#folders[@]} = 0 ] || python plot.py tasks "${folders[@]}" --out=results/table5_8
[ ${#folders[@]} = 0 ] || python plot.py isoplot "${folders[@]}" --first_step=120000 --out=results/fig1
case " ${depths[*]} " in *_4x[2-9]* | *_4x12*) python plot.py scaling "${depths[@]}" --out=results/scaling ;; esac
