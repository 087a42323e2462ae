"""Checkpoints: a copy written in the background, errors that say what is wrong, a disk that is full."""
import os
import subprocess
import threading

import pytest
import torch
from training import command, run

import train
from engine import checkpoint
from engine.errors import UserError


def test_a_checkpoint_of_another_version_is_said_to_be_one(tmp_path):
    folder = run(tmp_path / 'run')
    saved = checkpoint.load(os.path.join(folder, 'best.pt'))
    del saved['config']['length']
    checkpoint.save(os.path.join(folder, 'best.pt'), saved)
    with pytest.raises(UserError, match='another version'):
        checkpoint.load_model(folder)
    for junk in (b'hello world', b'.', b''):
        (tmp_path / 'run' / 'best.pt').write_bytes(junk)
        with pytest.raises(UserError, match='is cut or is no checkpoint'):
            checkpoint.load_model(folder)


def test_a_checkpoint_whose_bytes_have_changed_is_damaged(tmp_path):
    """torch writes a checksum of each tensor and compares none: the weights would be others, in silence."""
    path = os.path.join(run(tmp_path / 'run'), 'best.pt')
    with open(path, 'rb') as file:
        data = file.read()
    head = checkpoint.load(path)['model']['head.weight'].numpy().tobytes()
    place = data.index(head)
    with open(path, 'wb') as file:
        file.write(data[:place] + bytes([data[place] ^ 1]) + data[place + 1:])
    with pytest.raises(UserError, match='is damaged: .* checksum'):
        checkpoint.load(path)


def test_a_part_of_another_kind_is_said(tmp_path):
    path = os.path.join(run(tmp_path / 'run'), 'ckpt.pt')
    saved = checkpoint.load(path)
    for name, value in (('step', '12'), ('config', None), ('rng', [1]), ('optimizer', None)):
        checkpoint.save(path, saved | {name: value})
        with pytest.raises(UserError, match=f'{name} is missing or of another kind'):
            checkpoint.load(path)


def test_training_goes_on_while_a_checkpoint_is_written(tmp_path, monkeypatch):
    """Held up until three steps later; what is then written is the state of the step that saved."""
    options = dict(eval_interval=100, checkpoint_interval=5, schedule='constant')
    short = run(tmp_path / 'short', max_steps=5, **options)
    real_save, real_rate = checkpoint.save, train.lr_at
    go_on, steps, at_save = threading.Event(), [], []

    def slow_save(path, state):
        if state['step'] == 5:
            assert go_on.wait(60)
            at_save.append(len(steps))
            path = f'{tmp_path}/fifth.pt'
        real_save(path, state)

    def counted(step, config):
        steps.append(step)
        if step == 8:
            go_on.set()
        return real_rate(step, config)
    monkeypatch.setattr(checkpoint, 'save', slow_save)
    monkeypatch.setattr(train, 'lr_at', counted)
    run(tmp_path / 'run', max_steps=9, **options)
    fifth, expected = (torch.load(path, weights_only=True)['model']
                       for path in (f'{tmp_path}/fifth.pt', f'{short}/ckpt.pt'))
    assert at_save == [9] and all(torch.equal(fifth[name], expected[name]) for name in expected)


def test_a_copy_of_the_state_is_saved(tmp_path):
    state = dict(model=dict(w=torch.ones(3)), average=None, optimizer={}, step=1, tokens=9, config={},
                 rng=torch.get_rng_state(), best=[torch.ones(1), 2])
    saver = checkpoint.Saver()
    saver.save(str(tmp_path / 'c.pt'), state)
    state['model']['w'] += 1
    state['best'][0] += 1
    saver.wait()
    saved = checkpoint.load(str(tmp_path / 'c.pt'))
    assert saved['model']['w'].tolist() == [1, 1, 1] and saved['best'] == [torch.ones(1), 2]


def test_what_goes_wrong_in_the_thread_is_raised(tmp_path):
    saver = checkpoint.Saver()
    saver.save(str(tmp_path / 'nowhere' / 'c.pt'), {})
    with pytest.raises(UserError, match='could not be saved'):
        saver.wait()


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_the_old_checkpoint_stays(tmp_path, root):
    """A limit on the size of files stands for the disk: what the system answers is alike."""
    first = command(tmp_path / 'run', '--max_steps=20')
    subprocess.run(first, cwd=root, check=True, capture_output=True)
    before = (tmp_path / 'run' / 'ckpt.pt').read_bytes()
    limited = ['bash', '-c', 'ulimit -f 20; exec "$0" "$@"',
               *command(tmp_path / 'run', '--max_steps=40', '--resume=auto')]
    second = subprocess.run(limited, cwd=root, capture_output=True, text=True)
    assert second.returncode == 2 and 'could not be saved' in second.stderr
    assert len(second.stderr.strip().splitlines()) == 1
    assert (tmp_path / 'run' / 'ckpt.pt').read_bytes() == before
