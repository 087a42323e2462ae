r"""The ablation FAP-Loop-Adaptive-WO (Fan et al. 2025, Sec. 6.3).

The looped model without input injection. Give this file after that of a task:

    python train.py config/lengths/parity.py config/lengths/as_looped_wo.py \
        --out_dir=out/lengths/parity_looped_wo
"""
input_injection = False
