"""Formats other than VOC, through the scripts."""
import json

import pytest
from image_files import write_image

import scripts
from datasets import dataset_factory

pytestmark = pytest.mark.slow


def test_coco_is_converted_trained_and_evaluated(shared, tmp_path):
    folder, records, run = shared / 'data/coco_small', tmp_path / 'records', tmp_path / 'run'
    text = scripts.succeed('tf_convert_data.py', f'--dataset_dir={folder}',
                           f'--output_dir={records}')
    assert 'train2017: 36 images, 343 boxes, 80 classes' in text
    assert 'val2017: 24 images, 297 boxes' in text
    dataset = dataset_factory.get_dataset('', 'val2017', str(records))
    assert dataset.num_classes == 81
    assert dataset.source_ids[-1] == 90 and dataset.class_names[-1] == 'toothbrush'
    scripts.succeed('train_ssd_network.py', f'--dataset_dir={records}',
                    '--dataset_split_name=train2017', f'--train_dir={run}',
                    '--model_name=ssd_160_mobilenet_v1_025', '--anchor_preset=coco',
                    '--batch_size=4', '--max_number_of_steps=3')
    scripts.succeed('eval_ssd_network.py', f'--checkpoint_path={run}', f'--dataset_dir={records}',
                    '--dataset_split_name=val2017', '--write_detections=coco')
    result = json.loads((run / 'eval_val2017/result.json').read_text())
    assert result['pictures'] == 24 and len(result['classes']) == 80
    # Five of the 297 boxes are crowds. Small is decided by the area of the object itself, which is
    # smaller than that of its box.
    assert result['truths']['all'] == 292 and result['truths']['small'] == 136
    detections_path = next((run / 'eval_val2017/detections').glob('*_results.json'))
    detections = json.loads(detections_path.read_text())
    coco = json.loads((folder / 'annotations/instances_val2017.json').read_text())
    for key, entries in (('image_id', 'images'), ('category_id', 'categories')):
        assert {row[key] for row in detections} <= {entry['id'] for entry in coco[entries]}


def test_yolo_without_split_lists(tmp_path):
    """The box of the last of ten images is twice as high as its image."""
    folder = tmp_path / 'mine'
    for i in range(10):
        write_image(folder / f'images/{i}.jpg', (100, 80 + i))
        (folder / 'labels').mkdir(exist_ok=True)
        height = .2 if i < 9 else 2.
        (folder / f'labels/{i}.txt').write_text(f'{i % 2} 0.5 0.5 0.2 {height}\n')
    (folder / 'classes.txt').write_text('cat\ndog\n')
    arguments = ['tf_convert_data.py', f'--dataset_dir={folder}',
                 f'--output_dir={tmp_path}/records']
    assert 'has no splits. Pass --split_ratio' in scripts.rejection(*arguments)
    arguments += ['--split_ratio=train=0.8,val=0.2']
    done = scripts.run(*arguments, '--check', '--num_workers=1')
    assert done.returncode == 1, done.stderr
    assert '10 valid images with 9 valid boxes' in done.stdout
    assert ("9.txt, line 1: the box of a 'dog' (cx 0.5, cy 0.5, w 0.2, h 2, as fractions of the "
            'image) lies outside') in done.stdout
    text = scripts.succeed(*arguments, '--skip_bad_boxes')
    assert 'train: 8 images' in text and 'val: 2 images' in text
    assert 'skipped 1 bad box,' in text
    info = json.loads((tmp_path / 'records/dataset.json').read_text())
    assert info['classes'] == ['cat', 'dog']
    assert info['splits']['val']['split_ratio'] == 'train=0.8,val=0.2'
    other_split = scripts.rejection(*arguments, '--seed=1', '--split_names=train', '--overwrite')
    assert 'contains val, which was not split by' in other_split


def test_anchors_are_fitted_to_small_boxes(tmp_path):
    """Boxes have a side of 30 of the net's 300 pixels; the default anchors are larger."""
    folder, output = tmp_path / 'mine', tmp_path / 'anchors.txt'
    for split in ('train', 'val'):
        for i in range(3):
            write_image(folder / f'{split}{i}.jpg', (90, 90))
        (folder / f'{split}.csv').write_text(''.join(
            f'{split}{i}.jpg,{x},{x},{x + 9},{x + 9},cat\n'
            for i in range(3) for x in range(10, 70, 7)))
    scripts.succeed('tf_convert_data.py', f'--dataset_dir={folder}',
                    f'--output_dir={tmp_path}/records')
    arguments = ['fit_anchors.py', f'--dataset_dir={tmp_path}/records',
                 '--model_name=ssd_300_mobilenet_v1']
    text = scripts.succeed(*arguments, '--check_split_name=val', f'--output_file={output}',
                           f'--plot={tmp_path}/plot.png')
    assert 'train, 27 boxes: 0.0% before, ' in text and 'val, 27 boxes: 0.0% before, ' in text
    assert (tmp_path / 'plot.png').exists()
    assert output.read_text().startswith('# Anchors of ssd_300_mobilenet_v1 for ')
    text = scripts.succeed(*arguments, f'--anchor_preset={output}')
    assert 'train, 27 boxes: 0.0% before' not in text and '--anchor_preset="' in text
