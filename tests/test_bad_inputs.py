"""Bad inputs of every kind end in one line and a documented exit code, with nothing half written."""
import json
import os
import shutil
import subprocess
import sys

import pytest

LARGE_PAGES = dict(PYTHONMALLOC='malloc', GLIBC_TUNABLES='glibc.malloc.hugetlb=1')  # to fork in 6 ms, not 24
LOCKED = '-dac_override,-dac_read_search'  # without these rights permission bits count for root, too


@pytest.mark.slow
def test_bad_inputs_end_in_one_line(root):
    """A process of its own tries them all: the forks must not inherit what tests have computed before."""
    command = [sys.executable, os.path.join(root, 'tests', 'bad_inputs.py')]
    if os.getuid() == 0 and shutil.which('setpriv'):
        command = ['setpriv', f'--bounding-set={LOCKED}', f'--inh-caps={LOCKED}', *command]
    environment = os.environ | dict(OMP_NUM_THREADS='1', **LARGE_PAGES)
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stderr
    *_, figures = result.stdout.splitlines()
    found = json.loads(figures)
    print(figures)
    assert found['inputs'] >= 200 and found['kinds'] >= 20 and found['as_real_processes'] == 10
    assert found['ended_well'] == found['inputs'] + 10, result.stdout
