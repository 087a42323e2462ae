"""Copy at laptop scale; the paper's recipe is config/copy.py."""
from config.length_laptop import *

task = 'copy'
stages = '2x20'
interval = 850
max_steps = 19_500
