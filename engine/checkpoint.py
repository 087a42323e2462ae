"""Checkpoints: written whole or not at all, read with errors that a user understands."""
import os
import threading
import zipfile
from types import NoneType, SimpleNamespace

import torch

from engine.errors import UserError, in_one_line
from engine.files import write_atomically
from looped import LoopedGPT
from tasks import make_task

PARTS = dict(model=dict, average=(dict, NoneType), optimizer=dict, step=int, tokens=int, best=list,
             rng=torch.Tensor, config=dict)


def save(path: str, checkpoint: dict):
    """UserError where the disk is full or gone; what was at `path` before is still there then."""
    try:
        write_atomically(path, lambda file: torch.save(checkpoint, file), 'wb')
    except (OSError, RuntimeError) as error:  # torch wraps the errors of the file it writes to
        reason = in_one_line(error) or str(error).splitlines()[0]
        raise UserError(f'{path} could not be saved: {reason}; a checkpoint from before is intact') from None


class Saver:
    """Saves in a thread while training goes on: a step waits for a copy in memory, not for the disk.
    One is written at a time. What went wrong is raised by the next call."""

    def __init__(self):
        self.thread = None
        self.error = None

    def save(self, path: str, checkpoint: dict):
        self.wait()
        self.thread = threading.Thread(target=self.write, args=(path, copied(checkpoint)))
        self.thread.start()

    def write(self, path: str, checkpoint: dict):
        try:
            save(path, checkpoint)
        except UserError as error:
            self.error = error

    def wait(self):
        """Until what was begun is on the disk."""
        if self.thread:
            self.thread.join()
        if self.error:
            raise self.error


def copied(value):
    """A checkpoint's tensors in the host's memory, where no later step changes them."""
    if isinstance(value, torch.Tensor):
        return value.detach().to('cpu', copy=True)
    if isinstance(value, dict):
        return {key: copied(part) for key, part in value.items()}
    if isinstance(value, list):
        return [copied(part) for part in value]
    return value


def load(path: str) -> dict:
    """A checkpoint's dict, on the CPU; UserError where the file is missing, cut or of another kind.
    What the system refuses (permission, memory, a bad disk) is told in its own words."""
    folder = os.path.dirname(path)
    try:
        with open(path, 'rb') as file:
            damaged = zipfile.ZipFile(file).testzip()  # torch writes checksums, and reads none
            if damaged:
                raise UserError(f'{path} is damaged: {damaged} in it has another checksum')
            file.seek(0)
            checkpoint = torch.load(file, map_location='cpu', weights_only=True)
    except FileNotFoundError:
        others = sorted(name for name in os.listdir(folder or '.') if name.endswith('.pt'))
        hint = f'; there is {", ".join(others)}: --checkpoint={others[0]}' if others else ''
        raise UserError(f'no checkpoint at {path}{hint}') from None
    except Exception as error:
        if in_one_line(error):  # the system's: the file itself may be whole
            raise
        raise UserError(f'{path} is cut or is no checkpoint of this project') from None
    for name, kind in PARTS.items():
        if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get(name), kind):
            raise UserError(f'{path} is no checkpoint of this project: {name} is missing or of another kind')
    return checkpoint


def load_model(folder: str, device='cpu', name: str = 'best.pt'):
    """(model in evaluation mode, task, step, config) of a run's folder, from its checkpoint alone."""
    if not os.path.isdir(folder):
        raise UserError(f'no folder {folder}; give the out_dir of a run, such as out/ghop_1x6')
    checkpoint = load(os.path.join(folder, name))
    config = SimpleNamespace(**checkpoint['config'])
    try:
        task = make_task(config)
        with torch.device('meta'):  # no weights are drawn that would be written over
            model = LoopedGPT(config)
        model.load_state_dict(checkpoint['model'], assign=True)
        if config.tie_embeddings:  # assigning has made two of one
            model.head.weight = model.token_embedding.weight
    except Exception as error:
        if in_one_line(error):
            raise
        raise UserError(f'{folder}/{name} was made by another version of this project; use its commit, '
                        f'named in {folder}/config.json') from None
    return model.to(device).eval(), task, checkpoint['step'], config
