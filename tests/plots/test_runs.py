"""The folder of a run: what is refused, and the names of models."""
import pytest
from run_folders import write_run

from engine.errors import UserError
from plots.runs import model_name, read_run


def test_unfinished_or_unevaluated_runs_are_refused(tmp_path):
    with pytest.raises(UserError, match='not finished'):
        read_run(write_run(tmp_path / 'cut', '1x2', 0, {8: 1.0}, last=7))
    (tmp_path / 'empty').mkdir()
    with pytest.raises(UserError, match='eval_tasks.py'):
        read_run(str(tmp_path / 'empty'))


@pytest.mark.parametrize('config,name', [
    (dict(stages='24x1'), '24x1'), (dict(stages='4x1 + 4x4+4x1'), '4x1+4x4+4x1'),
    (dict(stages='24x1', regularize_k=4, regularize_weight=10.0), 'reg4'),
    (dict(stages='24x1', regularize_k=4, regularize_weight=1.0), 'reg4 lambda 1'),
    (dict(stages='24x1', regularize_k=6, regularize_weight=0.0), '24x1'),
    (dict(stages='6x1', regularize_k=2, regularize_weight=10.0), '6x1 reg2')])
def test_names(config, name):
    assert model_name(config) == name


@pytest.mark.parametrize('name,text,says', [
    ('config.json', '', 'cut'), ('config.json', '{"config": {}}', 'cut'), ('config.json', '[]', 'cut'),
    ('test.csv', 'difficulty,loops,accuracy,count\n8,2,0.5', 'row 1 is cut'), ('test.csv', '', 'no rows'),
    ('test.csv', 'difficulty,loops\n8,2\n', "no column 'accuracy'"), ('eval.csv', 'step\n', 'no rows'),
    ('metrics.csv', 'step,ms_per_step\n1,nan\n', "ms_per_step='nan'"), ('eval.csv', '"step\n1\n', 'no whole'),
    ('baselines.csv', b'\xff\xfe', 'no whole CSV file')])
def test_files_that_are_not_whole(name, text, says, tmp_path):
    folder = write_run(tmp_path / 'run', '1x2', 0, {8: 1.0})
    data = text if isinstance(text, bytes) else text.encode()
    (tmp_path / 'run' / name).write_bytes(data)
    with pytest.raises(UserError, match=says):
        read_run(folder)
