"""The script as a user calls it, each format loaded again, on what prediction finds."""
import json
import os
import re

import numpy as np
import pytest
from exported_net import MODEL, assert_agree, make_job, resized

import scripts
from benchmarks import runtimes
from exporting import exporters

SCRIPT = 'export_ssd_network.py'


@pytest.mark.slow
def test_every_format_matches_the_prediction_script(exportable, cells, tmp_path):
    for index, cell in enumerate(cells):
        (tmp_path / f'{index}.jpg').write_bytes(cell)
    arguments = [f'--checkpoint_path={exportable}', f'--output_dir={tmp_path}/out', '--min_score=0.6']
    text = scripts.succeed(SCRIPT, *arguments, f'--formats={",".join(exporters.FORMATS)}',
                           f'--calibration_images={tmp_path}')
    assert 'calibrating with 3 pictures' in text and len(re.findall(r' MB$', text, re.MULTILINE)) == 5
    assert sorted(os.listdir(tmp_path / 'out')) == sorted(
        [*(row.output for row in exporters.FORMATS.values()), 'labels.txt'])
    assert 'model.onnx is there already; pass --overwrite' in scripts.refusal(SCRIPT, *arguments, '--formats=onnx')
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other/labels.txt').write_text('1:cat\n')
    assert 'labels.txt names the classes of another net' in scripts.refusal(
        SCRIPT, arguments[0], f'--output_dir={tmp_path}/other')

    scripts.succeed('predict_ssd_network.py', f'--checkpoint_path={exportable}', '--min_score=0.6',
                    f'--output_dir={tmp_path}/found', *(f'{tmp_path}/{index}.jpg' for index in range(len(cells))))
    by_path = json.loads((tmp_path / 'found/detections.json').read_text())
    expected = {'count': [len(found) for found in by_path.values()], **{
        name: [np.array([value(one) for one in found]) for found in by_path.values()] for name, value in (
            ('classes', lambda one: MODEL['class_names'].index(one['class']) + 1), ('scores', lambda one: one['score']),
            ('boxes', lambda one: list(one['box'].values())))}}
    pictures = resized(make_job(exportable), cells)
    for name in exporters.FORMATS:
        found = runtimes.LOADERS[name](str(tmp_path / 'out' / exporters.FORMATS[name].output), 2)(pictures)
        if name != 'tflite_int8':   # of which test_tflite_int8.py tells how near it comes
            assert_agree(found, expected)
    text = scripts.succeed('-m', 'benchmarks.agreement', f'--checkpoint_path={exportable}', '--min_score=0.6',
                           f'--exported_dir={tmp_path}/out', f'--images={tmp_path}/0.jpg')
    assert '| saved_model | 100.00% | ' in text


@pytest.mark.slow
def test_saved_model_cli_runs_the_saved_model(exportable, tmp_path):
    scripts.succeed(SCRIPT, f'--checkpoint_path={exportable}', f'--output_dir={tmp_path}')
    tool = ['-m', 'tensorflow.python.tools.saved_model_cli']
    text = scripts.succeed(*tool, 'show', f'--dir={tmp_path}/saved_model', '--all')
    assert "signature_def['serving_default']" in text and "signature_def['encoded']" in text
    assert re.search(r"inputs\['images'\] tensor_info:\s+dtype: DT_UINT8\s+shape: \(-1, -1, -1, 3\)", text)
    np.save(tmp_path / 'images.npy', np.zeros([2, 40, 60, 3], np.uint8))
    text = scripts.succeed(*tool, 'run', f'--dir={tmp_path}/saved_model', '--tag_set=serve',
                           '--signature_def=serving_default', f'--inputs=images={tmp_path}/images.npy',
                           f'--outdir={tmp_path}/out')
    assert np.load(tmp_path / 'out/boxes.npy').shape == (2, 200, 4)


@pytest.mark.parametrize('flags, message', [
    ('', '--checkpoint_path is required'),
    ('--checkpoint_path=a --formats=onyx', "'onyx' is none of saved_model, "),
    ('--checkpoint_path=a --formats=', '--formats is required'),
    ('--checkpoint_path=a --formats=tflite_int8', 'give either --calibration_images or --calibration_dataset_dir'),
    ('--checkpoint_path=a --formats=tflite_int8 --calibration_images=a --calibration_dataset_dir=b', 'give either'),
    ('--checkpoint_path=a --min_score=2', 'min_score'),
    ('--checkpoint_path=/no/such/folder', 'there is no checkpoint /no/such/folder')])
def test_wrong_flags(tmp_path, flags, message):
    assert message in scripts.refusal(SCRIPT, f'--output_dir={tmp_path}/out', *flags.split())
    assert not (tmp_path / 'out').exists()
