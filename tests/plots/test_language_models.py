"""Bits per byte and similarity of language models."""
from run_folders import write_folder

import plot


def test_text_table_of_bits_per_byte_and_similarity(tmp_path, capsys):
    """Bits per byte at the trained loops; of the last step's matrices the mean cosine."""
    cosines = ((5, 'a', 'matrix', 0.1), (10, 'a', 'matrix', 0.5), (10, 'b', 'matrix', 0.75),
               (10, 'n', 'vector', 1.0))
    folder = write_folder(
        tmp_path / 'run', dict(stages='6x1', seed=0, regularize_k=2, regularize_weight=10.0),
        dict(parameters=1234, flops_per_token=5678, loops=3),
        metrics=[dict(step=10, tokens=500, ms_per_step=6000)],
        test=[dict(loops=loops, bits_per_byte=bits) for loops, bits in ((1, 2.5), (3, 2.25))],
        similarity=[dict(step=step, group=group, kind=kind, layer=0, cosine=cosine)
                    for step, group, kind, cosine in cosines])
    plot.main(['text', folder, f'--out={tmp_path}/t'])
    assert '| 6x1 reg2 | 1,234 | 5,678 | 500 | 1.0 | 2.250 | 0.625 |' in capsys.readouterr().out
    plot.main(['similarity', folder, f'--out={tmp_path}/s'])
    assert (tmp_path / 's.png').stat().st_size > 5000
