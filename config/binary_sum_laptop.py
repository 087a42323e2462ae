"""Binary sum at laptop scale; the paper's recipe is config/binary_sum.py."""
from config.length_laptop import *

task = 'binary_sum'
stages = '3x20'
interval = 500
max_steps = 14000
