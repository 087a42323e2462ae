"""Bytes of the standard library: the base, two layers."""
from config.laptop.text import *

stages = '2x1'
