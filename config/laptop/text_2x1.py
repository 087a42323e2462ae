"""Bytes of the standard library: the base model, two layers."""
from config.laptop.text import *

stages = '2x1'
