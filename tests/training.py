"""Runs of train.py for tests: tiny ones in this process, others as processes of their own."""
import csv
import os
import subprocess
import sys
import time

import torch

import train
from engine import runtime as runtimes
from engine.configurator import build
from settings import Config

TIMES = ('ms_per_step', 'wait_ms_per_step', 'tokens_per_s', 'mfu')
TINY = dict(stages='1x2', n_embd=16, n_head=2, p=(1, 2), length=8, supervise='all', max_steps=12,
            warmup_steps=3, batch_size=10, log_interval=1, eval_interval=4, eval_examples=20,
            checkpoint_interval=5, compile='False', data_workers=0, dtype='float32', device='cpu')


def run(out_dir, **changes):
    config = build(Config, TINY | dict(out_dir=str(out_dir)) | changes)
    train.main(config, [], ['train.py'])
    return str(out_dir)


def rows(folder, name):
    with open(os.path.join(folder, name), encoding='utf-8', newline='') as file:
        return [{key: value for key, value in row.items() if key not in TIMES}
                for row in csv.DictReader(file)]


def assert_same_runs(one, two):
    """Parameters, optimizer, metrics and evaluations, bit for bit."""
    a, b = (torch.load(os.path.join(folder, 'ckpt.pt'), weights_only=True) for folder in (one, two))
    assert a['step'] == b['step'] and a['best'] == b['best']
    assert all(torch.equal(a['model'][name], b['model'][name]) for name in a['model'])
    for one_part, two_part in zip(*(run['optimizer'].get('parts', [run['optimizer']]) for run in (a, b)),
                                  strict=True):
        for x, y in zip(one_part['state'].values(), two_part['state'].values(), strict=True):
            assert all(torch.equal(torch.as_tensor(x[name]), torch.as_tensor(y[name])) for name in x)
    for name in ('metrics.csv', 'eval.csv'):
        assert rows(one, name) == rows(two, name)


def stop_at(monkeypatch, step):
    """As if a signal came during step `step`, which is number step - 1 from 0."""
    at, real = [0], train.lr_at
    monkeypatch.setattr(train, 'lr_at', lambda now, config: at.__setitem__(0, now) or real(now, config))
    monkeypatch.setattr(runtimes.Stop, 'wanted', lambda self: at[0] >= step - 1)


SMALL = ['--stages=1x3', '--n_embd=32', '--n_head=2', '--p=2', '--length=16', '--supervise=all',
         '--batch_size=24', '--max_steps=300', '--log_interval=1', '--eval_interval=50',
         '--eval_examples=200', '--dtype=float32', '--checkpoint_interval=20', '--compile=False',
         '--device=cpu']


def command(folder, *more):
    return [sys.executable, 'train.py', *SMALL, f'--out_dir={folder}', *more]


def start(root, folder, *more):
    return subprocess.Popen(command(folder, *more), cwd=root, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, start_new_session=True)


def wait_for_step(folder, step):
    while True:
        if os.path.exists(folder / 'metrics.csv'):
            with open(folder / 'metrics.csv', encoding='utf-8') as file:
                if len(file.readlines()) > step:
                    return
        time.sleep(0.01)
