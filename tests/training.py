"""Runs of train.py for tests: tiny ones in this process, others as processes of their own."""
import csv
import os
import subprocess
import sys
import time

import torch

import train
from engine import runtime
from settings import make_config

TIMES = ('ms_per_step', 'wait_ms_per_step', 'tokens_per_s', 'mfu')
TINY = dict(stages='1x2', n_embd=16, n_head=2, max_steps=12, warmup_steps=3, batch_size=10, log_interval=1,
            eval_interval=4, eval_examples=20, checkpoint_interval=5, compile='False', data_workers=0,
            dtype='float32', device='cpu')
TINY_PHOP = dict(p=(1, 2), length=8, supervise='all')
PARITY = dict(task='parity', stages='1x6', n_embd=32, n_head=4, positions='none', adaptive_loops=True,
              input_injection=True, norm_each_loop=True, max_length=4, test_lengths=(2, 4, 6), interval=3,
              decay_start=-1, batch_size=16)
PARITY_NTP = PARITY | dict(adaptive_loops=False, answer='ntp', input_injection=False, norm_each_loop=False)


def tiny(**changes):
    """The configuration of a tiny run, of p-hop where `changes` name no other task."""
    values = TINY | ({} if 'task' in changes else TINY_PHOP)
    return make_config(values | changes)


def run(out_dir, **changes):
    config = tiny(out_dir=str(out_dir), **changes)
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
    monkeypatch.setattr(runtime.Stop, 'wanted', lambda self: at[0] >= step - 1)


SMALL = ['--stages=1x3', '--n_embd=32', '--n_head=2', '--batch_size=24', '--max_steps=300',
         '--log_interval=1', '--eval_interval=50', '--eval_examples=200', '--checkpoint_interval=20',
         '--dtype=float32', '--compile=False', '--device=cpu']
SMALL_PHOP = ['--p=2', '--length=16', '--supervise=all']


def command(folder, *options):
    """The command line of a small run, of p-hop where the options name no other task."""
    other_task = any(option.startswith('--task=') for option in options)
    task = [] if other_task else SMALL_PHOP
    return [sys.executable, 'train.py', *SMALL, *task, f'--out_dir={folder}', *options]


def start(root, folder, *options):
    return subprocess.Popen(command(folder, *options), cwd=root, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, start_new_session=True)


def wait_for_step(folder, step):
    while True:
        if os.path.exists(folder / 'metrics.csv'):
            with open(folder / 'metrics.csv', encoding='utf-8') as file:
                if len(file.readlines()) > step:
                    return
        time.sleep(0.01)
