"""End-to-end tests of export_ssd_network.py. Each format is loaded and compared with prediction."""
import json
import os
import re

import numpy as np
import pytest
from exported_net import MODEL, assert_agree, make_job, resize

import scripts
from benchmarks import runtimes
from exporting import exporters

SCRIPT = 'export_ssd_network.py'


def read_detections(path):
    """Read detections.json as a dict with the names of the outputs; one list element per image."""
    images = list(json.loads(path.read_text()).values())
    return {
        'count': [len(image) for image in images],
        'classes': [np.array([MODEL['class_names'].index(d['class']) + 1 for d in image])
                    for image in images],
        'scores': [np.array([d['score'] for d in image]) for image in images],
        'boxes': [np.array([list(d['box'].values()) for d in image]) for image in images]}


@pytest.mark.slow
def test_every_format_matches_the_prediction_script(exportable, cells, tmp_path):
    image_paths = [tmp_path / f'{index}.jpg' for index in range(len(cells))]
    for path, cell in zip(image_paths, cells, strict=True):
        path.write_bytes(cell)
    arguments = [f'--checkpoint_path={exportable}', f'--output_dir={tmp_path}/out',
                 '--min_score=0.6']
    text = scripts.succeed(SCRIPT, *arguments, f'--formats={",".join(exporters.FORMATS)}',
                           f'--calibration_images={tmp_path}')
    assert 'calibrating with 3 images' in text
    assert len(re.findall(r' MB$', text, re.MULTILINE)) == 5
    assert sorted(os.listdir(tmp_path / 'out')) == sorted(
        [*(row.output for row in exporters.FORMATS.values()), 'labels.txt'])
    assert 'model.onnx already exists. Pass --overwrite' in scripts.rejection(
        SCRIPT, *arguments, '--formats=onnx')

    scripts.succeed('predict_ssd_network.py', f'--checkpoint_path={exportable}', '--min_score=0.6',
                    f'--output_dir={tmp_path}/found', *image_paths)
    expected = read_detections(tmp_path / 'found/detections.json')
    images = resize(make_job(exportable), cells)
    for name, row in exporters.FORMATS.items():
        if name != 'tflite_int8':   # its accuracy is tested in test_tflite_int8.py
            detect = runtimes.LOADERS[name](str(tmp_path / 'out' / row.output), 2)
            assert_agree(detect(images), expected)
    text = scripts.succeed('-m', 'benchmarks.agreement', f'--checkpoint_path={exportable}',
                           '--min_score=0.6', f'--exported_dir={tmp_path}/out',
                           f'--images={image_paths[0]}')
    assert '| saved_model | 100.00% | ' in text


@pytest.mark.slow
def test_labels_of_another_net_are_not_overwritten(exportable, tmp_path):
    (tmp_path / 'labels.txt').write_text('1:cat\n')
    assert 'labels.txt has the class names of another net' in scripts.rejection(
        SCRIPT, f'--checkpoint_path={exportable}', f'--output_dir={tmp_path}')


@pytest.mark.slow
def test_saved_model_cli_runs_the_saved_model(exportable, tmp_path):
    scripts.succeed(SCRIPT, f'--checkpoint_path={exportable}', f'--output_dir={tmp_path}')
    tool = ['-m', 'tensorflow.python.tools.saved_model_cli']
    text = scripts.succeed(*tool, 'show', f'--dir={tmp_path}/saved_model', '--all')
    assert "signature_def['serving_default']" in text and "signature_def['encoded']" in text
    assert re.search(r"inputs\['images'\] tensor_info:\s+dtype: DT_UINT8\s+"
                     r"shape: \(-1, -1, -1, 3\)", text)
    np.save(tmp_path / 'images.npy', np.zeros([2, 40, 60, 3], np.uint8))
    scripts.succeed(*tool, 'run', f'--dir={tmp_path}/saved_model', '--tag_set=serve',
                    '--signature_def=serving_default', f'--inputs=images={tmp_path}/images.npy',
                    f'--outdir={tmp_path}/out')
    assert np.load(tmp_path / 'out/boxes.npy').shape == (2, 200, 4)


@pytest.mark.parametrize('flags, message', [
    ('', '--checkpoint_path is required'),
    ('--checkpoint_path=a --formats=onyx', "unknown format 'onyx'. Choose from saved_model, "),
    ('--checkpoint_path=a --formats=', '--formats is required'),
    ('--checkpoint_path=a --formats=tflite_int8',
     'Pass either --calibration_images or --calibration_dataset_dir'),
    ('--checkpoint_path=a --formats=tflite_int8 --calibration_images=a '
     '--calibration_dataset_dir=b', 'Pass either'),
    ('--checkpoint_path=a --min_score=2', 'min_score'),
    ('--checkpoint_path=/no/such/folder', '/no/such/folder')])
def test_invalid_flags_fail(tmp_path, flags, message):
    assert message in scripts.rejection(SCRIPT, f'--output_dir={tmp_path}/out', *flags.split())
    assert not (tmp_path / 'out').exists()
