"""After a task of B: FAP-Loop-Adaptive-WO, the looped model without input injection (B, Sec. 6.3).

    python train.py config/lengths/parity.py config/lengths/as_looped_wo.py --out_dir=out/parity_looped_wo
"""
input_injection = False
