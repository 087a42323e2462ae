"""Bytes of the standard library: the iso-FLOP baseline, six layers."""
from config.text import *

stages = '6x1'
