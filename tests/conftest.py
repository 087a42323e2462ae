"""Shared by all tests: the project's folder, and one seed."""
import os

os.environ.setdefault('OMP_NUM_THREADS', '1')  # before torch is imported: the tests' models are tiny

import pytest
import torch

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def root():
    return ROOT
