"""Binary sum at laptop scale; the paper's recipe is config/lengths/binary_sum.py."""
from config.laptop.lengths import *

task = 'binary_sum'
stages = '3x20'
interval = 500
max_steps = 14000
