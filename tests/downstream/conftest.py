"""Shared by the tests of few-shot evaluation: records of every data set, a tiny trained model of bytes."""
import pytest
from records import train_on_bytes, write_all


@pytest.fixture(scope='session')
def data(tmp_path_factory):
    return write_all(tmp_path_factory.mktemp('data'))


@pytest.fixture(scope='session')
def trained(tmp_path_factory):
    return train_on_bytes(tmp_path_factory.mktemp('lm'))
