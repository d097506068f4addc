import json

import pytest
from small_checkpoints import write_checkpoints

from common.errors import UserError
from run_folder import history


def read(path):
    return json.loads(path.read_text())['checkpoints']


def test_an_evaluated_checkpoint_is_in_the_reopened_history(tmp_path):
    run = write_checkpoints(tmp_path / 'run', 1, 2)
    prefix_1, prefix_2, missing = (str(run / f'model.ckpt-{step}') for step in (1, 2, 3))
    path = tmp_path / 'eval/history.json'
    first = history.EvaluationHistory(str(path), 'val')
    assert not first.contains(prefix_1)
    first.add(content=history.index_digest(prefix_1), step=1, mAP={'VOC07': .5})
    reopened = history.EvaluationHistory(str(path), 'val')
    assert reopened.contains(prefix_1)
    assert not reopened.contains(prefix_2) and not reopened.contains(missing)
    assert read(path)[0]['mAP'] == {'VOC07': .5}


def test_the_same_step_of_another_run_is_another_checkpoint(tmp_path):
    runs = [write_checkpoints(tmp_path / 'a', 1), write_checkpoints(tmp_path / 'b', 2)]
    for path in runs[1].glob('model.ckpt-2.*'):
        path.rename(path.with_name(path.name.replace('-2.', '-1.')))
    digests = [history.index_digest(str(run / 'model.ckpt-1')) for run in runs]
    assert digests[0] != digests[1] and None not in digests


def test_other_data_start_a_new_history(tmp_path):
    path = tmp_path / 'history.json'
    history.EvaluationHistory(str(path), 'val').add(content='ab', step=1)
    history.EvaluationHistory(str(path), 'test').add(content='cd', step=2)
    assert [row['step'] for row in read(path)] == [2]


def test_a_history_that_cannot_be_parsed(tmp_path):
    (tmp_path / 'history.json').write_text('{')
    with pytest.raises(UserError, match='history.json cannot be read .*. Remove it'):
        history.EvaluationHistory(str(tmp_path / 'history.json'), 'val')


@pytest.mark.parametrize('text', [
    '[1]', '7', '{"evaluated_on": "val"}', '{"checkpoints": []}',
    '{"evaluated_on": "val", "checkpoints": 1}', '{"evaluated_on": "val", "checkpoints": [{}]}'])
def test_a_file_of_another_structure(tmp_path, text):
    (tmp_path / 'history.json').write_text(text)
    with pytest.raises(UserError, match='history.json is not a history of evaluations. Remove it'):
        history.EvaluationHistory(str(tmp_path / 'history.json'), 'val')
