import json

import pytest
from small_checkpoints import write_checkpoints

from common.errors import UserError
from run_folder import history


def test_what_was_evaluated_is_known_again(tmp_path):
    run = write_checkpoints(tmp_path / 'run', 1, 2)
    one, two = str(run / 'model.ckpt-1'), str(run / 'model.ckpt-2')
    path = str(tmp_path / 'eval/history.json')
    first = history.EvaluationHistory(path, 'val')
    assert not first.has(one)
    first.add(content=history.index_digest(one), step=1, mAP={'VOC07': .5})
    again = history.EvaluationHistory(path, 'val')
    assert again.has(one) and not again.has(two) and not again.has(str(run / 'model.ckpt-3'))
    assert json.loads((tmp_path / 'eval/history.json').read_text())['checkpoints'][0]['mAP'] == {'VOC07': .5}


def test_another_training_of_the_same_step_is_another_checkpoint(tmp_path):
    runs = [write_checkpoints(tmp_path / 'a', 1), write_checkpoints(tmp_path / 'b', 2)]
    for path in runs[1].glob('model.ckpt-2.*'):
        path.rename(path.with_name(path.name.replace('-2.', '-1.')))
    contents = [history.index_digest(str(run / 'model.ckpt-1')) for run in runs]
    assert contents[0] != contents[1] and None not in contents


def test_other_data_begins_anew(tmp_path):
    path = str(tmp_path / 'history.json')
    history.EvaluationHistory(path, 'val').add(content='ab', step=1)
    other = history.EvaluationHistory(path, 'test')
    other.add(content='cd', step=2)
    assert [row['step'] for row in json.loads((tmp_path / 'history.json').read_text())['checkpoints']] == [2]


def test_a_broken_history(tmp_path):
    (tmp_path / 'history.json').write_text('{')
    with pytest.raises(UserError, match='history.json cannot be read .*; remove it'):
        history.EvaluationHistory(str(tmp_path / 'history.json'), 'val')
