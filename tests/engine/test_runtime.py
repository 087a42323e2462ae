"""What is chosen for the machine: device, precision, compiler."""
import pytest
import torch

from engine import runtime
from engine.errors import UserError
from looped import LoopedGPT
from sample import generate
from stages import ModelConfig

CPU = torch.device('cpu')


def test_without_a_compiler_compilation_is_off_and_says_why(monkeypatch):
    assert runtime.pick_compile('False') == (False, 'off')
    monkeypatch.setenv('CXX', 'no-such-compiler')
    for choice in ('auto', 'True'):
        assert runtime.pick_compile(choice) == (False, 'off (no C++ compiler found)')
    assert 'compile off (no C++ compiler found)' in runtime.start(device='cpu').notes[0]


def test_precision_follows_the_hardware(monkeypatch):
    cases = (({'avx512_bf16': True}, 'bfloat16'), ({'amx_bf16': True}, 'bfloat16'), ({}, 'float32'))
    for found, dtype in cases:
        monkeypatch.setattr(torch.cpu, 'get_capabilities', lambda found=found: found)
        assert runtime.pick_dtype('auto', CPU) == dtype
        assert runtime.pick_dtype('float32', CPU) == 'float32'


def test_a_missing_gpu_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert runtime.pick_device('auto') == CPU
    with pytest.raises(UserError, match='no CUDA device'):
        runtime.pick_device('cuda')


@pytest.mark.parametrize('world', [1, 2, 3, 7])
def test_slices_cover_everything_once(world):
    parts = [runtime.Runtime(CPU, 'float32', False, rank, world).slice(20) for rank in range(world)]
    assert [i for lo, hi in parts for i in range(lo, hi)] == list(range(20))
    assert max(hi - lo for lo, hi in parts) - min(hi - lo for lo, hi in parts) <= 1


def test_peaks_of_known_hardware_only(monkeypatch):
    assert runtime.Runtime(CPU, 'float32', False).peak_flops() is None
    gpus = runtime.Runtime(torch.device('cuda'), 'bfloat16', False, 0, 2)
    for name, peak in (('NVIDIA H100 80GB HBM3', 2 * 989e12), ('NVIDIA A100-SXM4-80GB', 2 * 312e12),
                       ('NVIDIA L4', 2 * 121e12), ('NVIDIA L40S', None), ('Some other device', None)):
        monkeypatch.setattr(torch.cuda, 'get_device_name', lambda device, name=name: name)
        assert gpus.peak_flops() == peak


@pytest.mark.parametrize('tied', [False, True])
def test_weights_for_inference_give_what_autocast_gives(tied):
    model = LoopedGPT(ModelConfig('2x2', 11, 16, 16, 2, bias=True, tie_embeddings=tied, init_std=0.3)).eval()
    tokens, machine = torch.randint(0, 11, (3, 16)), runtime.Runtime(CPU, 'bfloat16', False)
    with torch.inference_mode(), machine.autocast():
        before = model(tokens)
        machine.for_inference(model)
        assert torch.equal(model(tokens), before)
        cache = model.new_cache(3, 16)
        steps = [model(tokens[:, i:i + 1], cache=cache) for i in range(16)]
        assert cache.keys.dtype == torch.bfloat16
        torch.testing.assert_close(torch.cat(steps, 1), before, atol=0.1, rtol=0.1)
        assert generate(model, tokens[:, :4], 3)[0].shape == (3, 3)
    assert model.token_embedding.weight.dtype == torch.float32
    assert {module.weight.dtype for module in model.modules() if isinstance(module, torch.nn.Linear)} == {
        torch.bfloat16}


def test_in_float32_the_weights_stay():
    model = LoopedGPT(ModelConfig('2x2', 11, 16, 16, 2))
    assert runtime.Runtime(CPU, 'float32', False).for_inference(model) is model
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_a_count_of_restarts_that_is_no_number(monkeypatch):
    monkeypatch.setenv('TORCHELASTIC_RESTART_COUNT', 'x')
    with pytest.raises(UserError, match='TORCHELASTIC_RESTART_COUNT'):
        runtime.restarts()
