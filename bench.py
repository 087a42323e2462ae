"""Speed, measured in one process: methods in turn, medians.

    python bench.py inference config/lengths/parity.py --out=results/table_inference
    python bench.py downstream --out=results/bench_downstream
    python bench.py rows --rows=phop_step,decoding --out=results/bench

rows: training steps, start-up, decoding, optimizer and data against peers (bench_rows.py), with the share of
the measured matmul peak; rows of OUT.csv that are not measured anew stay. inference: B's methods on one batch
of a task (B, App. D, Table 1), beside the paper's times. downstream: the few-shot evaluator on a small GPT-2
of transformers, against the same without its short cuts and, where that is installed, lm-evaluation-harness.
OUT.csv and OUT.md. Models are not trained: time depends on no weight.
"""
import json
import os
import platform
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from statistics import median
from typing import Literal

import torch

from downstream.adapters import subject_of
from downstream.decoding import Prefix, Prompt, answer_batch, batches, common_length
from downstream.fewshot import TASKS, load, prompt_of
from engine.configurator import UserError, configure, one_line_errors
from engine.files import read_rows
from engine.runtime import start
from engine.stopping import all_steps
from looped import build_model
from peers.rows import ROWS, Case, Size, matmul_peak
from plot import method_of
from plots.drawing import markdown_table, write_table
from sample import generate
from settings import Config
from tasks import LENGTH_TASKS, make_task

PAPER = {  # B, Table 1: seconds at parity of length 50, batch 64
    'oracle': 0.1967, 'confidence': 0.2190, 'FAP': 0.1117, 'FAP-Pause': 0.1262,
    'NTP': 0.1229, 'NTP-Pause': 0.1315, 'NTP-Loop': 0.1527}
BASELINES = ('fap', 'fap_pause', 'ntp', 'ntp_pause', 'ntp_loop')


@dataclass
class BenchConfig:
    # --- what is measured
    length: int = 50                 # of the problems
    batch: int = 64                  # problems at once
    loops_max: int = 55              # T_max of the confidence rule; not stated in the paper
    repeats: int = 9                 # measurements of each method, in turn
    task: str = 'math_depth1'        # downstream: whose prompts, one of the generated tasks
    rows: tuple[str, ...] = ()       # rows: some of bench_rows.py's (default: all)
    out: str = ''                    # path without its ending (default: out/bench_MODE)
    # --- where
    device: Literal['auto', 'cpu', 'cuda'] = 'auto'          # auto: a GPU if there is one
    dtype: Literal['auto', 'float32', 'bfloat16'] = 'auto'   # auto: bfloat16 where the hardware has it

    def check(self):
        if min(self.length, self.batch, self.loops_max, self.repeats) < 1:
            raise ValueError('length, batch, loops_max and repeats must be at least 1')
        for name in self.rows:
            if name not in ROWS:
                raise ValueError(f'no row {name!r}; there are {", ".join(ROWS)}')


def methods(path: str, config, runtime):
    """{name: a function that answers the batch once} for the looped model and every baseline."""
    looped, _ = configure(Config, [path, f'--test_lengths={config.length}'], '')
    if looped.task not in LENGTH_TASKS or not looped.adaptive_loops:
        raise UserError(f"{path} is no configuration of one of B's tasks")
    layers = looped.stages.split('x')[0]
    out = {}
    for name in (None, *BASELINES):
        more = [f'config/lengths/as_{name}.py'] if name else []
        more += [] if name in (None, 'ntp_loop') else [f'--stages={20 * int(layers)}x1']
        run, _ = configure(Config, [path, *more, f'--test_lengths={config.length}'], '')
        task = make_task(run)
        model = build_model(run, task.vocab_size, task.block_size, torch.Generator().manual_seed(0))
        out |= answers(method_of(vars(run)), model.to(runtime.device).eval(), task, config, runtime)
    return out


def answers(name: str, model, task, config, runtime) -> dict:
    """How a method answers: both stopping rules, one forward pass (FAP), or decoding with the cache (NTP)."""
    batch = task.eval_batch('test', config.length, 0, config.batch)
    tokens, targets, loops = runtime.put(batch)
    if task.adaptive_loops:
        return {'oracle': lambda: model(tokens, n_loops=loops),
                'confidence': lambda: all_steps(model, runtime, batch, config.loops_max)}
    if task.full_answer:
        return {name: lambda: model(tokens)}
    n_prompt = int((targets[0] >= 0).int().argmax()) + 1
    n_new = int((targets >= 0).sum(1).max())
    return {name: lambda: generate(model, tokens[:, :n_prompt], n_new)}


def clock(functions: list, runtime, repeats: int, warmup=1) -> list[list[float]]:
    """Seconds of each function, all in turn so that a busy moment meets every one of them."""
    times = [[] for _ in functions]
    for repeat in range(warmup + repeats):
        for function, own in zip(functions, times, strict=True):
            began = time.perf_counter()
            function()
            if runtime.device.type == 'cuda':
                torch.cuda.synchronize()
            if repeat >= warmup:
                own.append(time.perf_counter() - began)
    return times


@torch.inference_mode()
def measure(named: dict, runtime, repeats: int) -> dict:
    """Median milliseconds of each function under inference."""
    with runtime.autocast():
        times = clock(list(named.values()), runtime, repeats)
    return {name: 1000 * median(own) for name, own in zip(named, times, strict=True)}


def inference(path: str, config):
    """Prints and writes the table: ours and the paper's times, each as a multiple of FAP's."""
    runtime = start(config.device, config.dtype, 'False')
    times = measure(methods(path, config, runtime), runtime, config.repeats)
    rows = [dict(method=name, milliseconds=round(ms, 1), times_fap=round(ms / times['FAP'], 2),
                 paper_seconds=PAPER[name], paper_times_fap=round(PAPER[name] / PAPER['FAP'], 2))
            for name, ms in times.items()]
    head = ['method', 'ms', 'times FAP', 'paper, s', 'paper, times FAP']
    print(*runtime.notes, '', sep='\n')
    write_table(rows, markdown_table(head, [list(map(str, row.values())) for row in rows]), config.out)


# --- few-shot evaluation

def save_random_gpt2(folder: str, **sizes):
    """A GPT-2 with random weights and a tokenizer whose tokens are bytes, as transformers saves them."""
    import transformers
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=257, bos_token_id=256, eos_token_id=256, **sizes)
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)
    letters = transformers.models.gpt2.tokenization_gpt2.bytes_to_unicode().values()
    vocabulary = {letter: number for number, letter in enumerate(letters)} | {'<|endoftext|>': 256}
    for name, text in (('vocab.json', json.dumps(vocabulary)), ('merges.txt', '#version: 0.2\n')):
        with open(os.path.join(folder, name), 'w', encoding='utf-8') as file:
            file.write(text)
    names = (os.path.join(folder, name) for name in ('vocab.json', 'merges.txt'))
    transformers.GPT2Tokenizer(*names).save_pretrained(folder)


def answer_all(subject, prompts: list[Prompt], n_new: int, share: bool):
    """All answers as the evaluator gets them."""
    rows = [prompt.tokens for prompt in prompts]
    prefix = Prefix(subject.model, rows[0][:common_length(rows)] if share else [])
    for batch in batches(prompts, 32):
        answer_batch(prefix, [prompt.tokens for prompt in batch], n_new, subject.stops(('\n',)), share)


def answer_one_by_one(subject, prompts: list[Prompt], n_new: int):
    """The definition: every token from all the tokens before it."""
    for prompt in prompts:
        row = list(prompt.tokens)
        for _ in range(n_new):
            row.append(subject.model(torch.tensor([row]), last_only=True)[0, -1].argmax().item())


def harness(folder: str, texts: list[str], n_new: int, runtime):
    """lm-evaluation-harness's own backend on the same checkpoint and prompts; None where it is missing."""
    try:
        from lm_eval.api.instance import Instance
        from lm_eval.models.huggingface import HFLM
    except ImportError:
        return None
    model = HFLM(pretrained=folder, device=str(runtime.device), dtype='float32', batch_size=32)
    options = dict(until=['\n'], max_gen_toks=n_new, do_sample=False)
    asked = [Instance('generate_until', {}, (text, options), i) for i, text in enumerate(texts)]
    return lambda: model.generate_until(asked, disable_tqdm=True)


def downstream(config):
    """Examples a second of the few-shot evaluator and of its peers, in float32."""
    if TASKS[config.task].path:
        raise UserError(f'task={config.task} has to be downloaded; take one that is generated: math_depth1')
    runtime, n_new = start(config.device, 'float32', 'False'), TASKS[config.task].max_new
    with tempfile.TemporaryDirectory() as folder:
        save_random_gpt2(folder, n_embd=256, n_layer=6, n_head=8, n_positions=2048)
        subject = subject_of(f'gpt2:{folder}', device=runtime.device)
        loaded = load(config.task, TASKS[config.task].shots, 0, limit=config.batch)
        texts = [prompt_of(item, loaded.shots) for item in loaded.items]
        prompts = [Prompt(i, subject.encode(text)) for i, text in enumerate(texts)]
        few = prompts[:4]  # one by one, uncached takes minutes for all
        named = {'ours': (lambda: answer_all(subject, prompts, n_new, True), len(prompts)),
                 'nothing shared': (lambda: answer_all(subject, prompts, n_new, False), len(prompts)),
                 'one by one, uncached': (lambda: answer_one_by_one(subject, few, n_new), len(few))}
        if peer := harness(folder, texts, n_new, runtime):
            named['lm-evaluation-harness, HF'] = peer, len(prompts)
        times = measure({name: answer for name, (answer, _) in named.items()}, runtime, config.repeats)
    rates = {name: 1000 * named[name][1] / ms for name, ms in times.items()}
    rows = [dict(method=name, examples_per_s=round(rate, 2), ours_is_faster=round(rates['ours'] / rate, 2))
            for name, rate in rates.items()]
    print(*runtime.notes, f'{len(prompts)} prompts of {len(prompts[0].tokens)} tokens', '', sep='\n')
    lines = [list(map(str, row.values())) for row in rows]
    write_table(rows, markdown_table(['method', 'examples a second', 'ours is faster'], lines), config.out)


# --- rows against peers

def rate_row(case: Case, runtime, repeats: int, peaks: dict) -> dict:
    """A case measured: rates, the median ratio with its lowest and highest, MFU. Better is above 1."""
    functions = [case.ours] + ([case.peer] if case.peer else [])
    ours, *peers = clock(functions, runtime, *((1, 0) if case.once else (repeats, 1)))
    ratios = sorted(b / a for a, b in zip(ours, peers[0], strict=True)) if peers else []
    peer = f'{(case.peer_work or case.work) / median(peers[0]):.4g}' if peers else ''
    mfu = round(case.flops / median(ours) / peaks[case.dtype], 3) if case.flops else ''
    return row_of(case, f'{case.work / median(ours):.4g}', peer, ratios, mfu, runtime)


def size_row(case: Size, runtime) -> dict:
    """A case counted; better, that is less, is above 1."""
    ratios, peer = ([], '') if case.peer is None else ([case.peer / case.ours], f'{case.peer:.4g}')
    return row_of(case, f'{case.ours:.4g}', peer, ratios, '', runtime)


def row_of(case, ours: str, peer: str, ratios: list, mfu, runtime) -> dict:
    """A row of OUT.csv; `ratios` in order."""
    row = dict(row=case.row, case=case.name, ours=ours, peer=peer, unit=case.unit)
    row |= dict(ratio=round(median(ratios), 2) if ratios else '')
    row |= {name: round(ratios[i], 2) if len(ratios) > 1 else '' for name, i in (('low', 0), ('high', -1))}
    return row | dict(mfu=mfu, hardware=hardware(runtime), versions=f'torch {torch.__version__}')


def hardware(runtime) -> str:
    """The device and how many threads a CPU is used with."""
    if runtime.device.type == 'cuda':
        return torch.cuda.get_device_name()
    return f'{processor()}, {torch.get_num_threads()} threads'


def processor() -> str:
    """The processor's name where the system tells it."""
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as file:
            return next(line.split(':')[1].strip() for line in file if line.startswith('model name'))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def rows(config):
    """Measures cases against their peers, in turn; prints and writes all rows known."""
    runtime = start(config.device, config.dtype, 'auto')
    peaks = {dtype: matmul_peak(runtime.device, dtype) for dtype in ('float32', 'bfloat16')}
    print(*runtime.notes, 'matmul peak: ' + ', '.join(f'{peak / 1e9:.0f} GFLOP/s in {dtype}'
                                                      for dtype, peak in peaks.items()), sep='\n')
    found = []
    for name in config.rows or ROWS:
        for case in ROWS[name](runtime):
            found.append(size_row(case, runtime) if isinstance(case, Size) else
                         rate_row(case, runtime, config.repeats, peaks))
            print(' | '.join(str(found[-1][key]) for key in ('row', 'case', 'ours', 'unit', 'ratio', 'mfu')))
    new = {(row['row'], row['case']) for row in found}
    found = [row for row in read_rows(f'{config.out}.csv') if (row['row'], row['case']) not in new] + found
    shown = ('row', 'case', 'ours', 'peer', 'unit', 'ratio', 'low', 'high', 'mfu')
    lines = [[str(row[key]) for key in shown] for row in found]
    write_table(found, markdown_table(list(shown), lines, left=2), config.out)


def main(argv):
    config, words = configure(BenchConfig, argv, __doc__, positional='words')
    config.out = config.out or f'out/bench_{"".join(words[:1])}'
    if words[:1] != ['inference'] and not find_spec('transformers'):
        raise UserError("the peers need transformers: pip install -e '.[dev]'")
    if words == ['downstream']:
        downstream(config)
    elif words == ['rows']:
        rows(config)
    elif len(words) == 2 and words[0] == 'inference':
        inference(words[1], config)
    else:
        raise UserError('give rows, downstream, or inference and a file such as config/lengths/parity.py')


if __name__ == '__main__':
    with one_line_errors():
        main(sys.argv[1:])
