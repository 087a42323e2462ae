"""Bytes of the standard library: the base, two layers."""
from config.text import *

stages = '2x1'
