"""Shared by the tests of shards and of text."""
import pytest
from shard_folders import documents, write


@pytest.fixture
def shards(tmp_path):
    """A folder with 3 kinds of everything: 600 tokens of train in shards of 50, val in one."""
    write(tmp_path / 'd', docs=documents())
    write(tmp_path / 'd', 'val', 10_000, documents(20, 1))
    return tmp_path / 'd'
