"""Copy at laptop scale; the paper's recipe is config/lengths/copy.py."""
from config.laptop.lengths import *

task = 'copy'
stages = '2x20'
interval = 850
max_steps = 19_500
