"""Other formats than VOC, with the scripts as a user calls them."""
import json

import pytest
from image_files import write_image

import scripts
from datasets import dataset_factory

pytestmark = pytest.mark.slow


def test_coco_through_conversion_training_and_evaluation(shared, tmp_path):
    folder, records, run = shared / 'data/coco_small', tmp_path / 'records', tmp_path / 'run'
    text = scripts.succeed('tf_convert_data.py', f'--dataset_dir={folder}', f'--output_dir={records}')
    assert 'train2017: 36 pictures, 343 boxes, 80 classes' in text and 'val2017: 24 pictures, 297 boxes' in text
    dataset = dataset_factory.get_dataset('', 'val2017', str(records))
    assert dataset.num_classes == 81 and dataset.source_ids[-1] == 90 and dataset.class_names[-1] == 'toothbrush'
    scripts.succeed('train_ssd_network.py', f'--dataset_dir={records}', '--dataset_split_name=train2017',
                    f'--train_dir={run}', '--model_name=ssd_160_mobilenet_v1_025', '--anchor_preset=coco',
                    '--batch_size=4', '--max_number_of_steps=3')
    scripts.succeed('eval_ssd_network.py', f'--checkpoint_path={run}', f'--dataset_dir={records}',
                    '--dataset_split_name=val2017', '--write_detections=coco')
    result = json.loads((run / 'eval_val2017/result.json').read_text())
    assert result['pictures'] == 24 and len(result['classes']) == 80
    # Of 297 boxes five are crowds. By the area of the object itself, which is less than that of its box:
    assert result['truths']['all'] == 292 and result['truths']['small'] == 136
    found = json.loads(next((run / 'eval_val2017/detections').glob('*_results.json')).read_text())
    known = json.loads((folder / 'annotations/instances_val2017.json').read_text())
    assert {row['image_id'] for row in found} <= {image['id'] for image in known['images']}
    assert {row['category_id'] for row in found} <= {category['id'] for category in known['categories']}


def test_yolo_without_lists(tmp_path):
    for i in range(10):
        write_image(tmp_path / f'mine/images/{i}.jpg', (100, 80 + i))
        (tmp_path / 'mine/labels').mkdir(exist_ok=True)
        (tmp_path / f'mine/labels/{i}.txt').write_text(f'{i % 2} 0.5 0.5 0.2 {0.2 if i < 9 else 2.}\n')
    (tmp_path / 'mine/classes.txt').write_text('cat\ndog\n')
    arguments = ['tf_convert_data.py', f'--dataset_dir={tmp_path}/mine', f'--output_dir={tmp_path}/records']
    assert 'has no split lists: pass --split_ratio' in scripts.refusal(*arguments)
    arguments += ['--split_ratio=train=0.8,val=0.2']
    done = scripts.run(*arguments, '--check', '--num_workers=1')
    assert done.returncode == 1 and '10 pictures and 9 boxes are usable' in done.stdout, done.stderr
    assert "9.txt, line 1 ('dog', cx 0.5, cy 0.5, w 0.2, h 2, shares from 0 to 1) lies outside" in done.stdout
    text = scripts.succeed(*arguments, '--skip_bad_boxes')
    assert 'train: 8 pictures' in text and 'val: 2 pictures' in text and 'left out 1 bad boxes' in text
    facts = json.loads((tmp_path / 'records/dataset.json').read_text())
    assert facts['classes'] == ['cat', 'dog'] and facts['splits']['val']['split_ratio'] == 'train=0.8,val=0.2'
    assert 'holds val, which' in scripts.refusal(*arguments, '--seed=1', '--split_names=train', '--overwrite')


def test_anchors_for_own_boxes(tmp_path):
    """Squares of 9 pixels (of 90), 30 of 300: the net's anchors for larger objects do not reach them."""
    folder, out = tmp_path / 'mine', tmp_path / 'anchors.txt'
    for split in ('train', 'val'):
        for i in range(3):
            write_image(folder / f'{split}{i}.jpg', (90, 90))
        (folder / f'{split}.csv').write_text(''.join(
            f'{split}{i}.jpg,{x},{x},{x + 9},{x + 9},cat\n' for i in range(3) for x in range(10, 70, 7)))
    scripts.succeed('tf_convert_data.py', f'--dataset_dir={folder}', f'--output_dir={tmp_path}/records')
    arguments = ['fit_anchors.py', f'--dataset_dir={tmp_path}/records', '--model_name=ssd_300_mobilenet_v1']
    text = scripts.succeed(*arguments, '--check_split_name=val', f'--output_file={out}', f'--plot={tmp_path}/plot.png')
    assert 'train, 27 boxes: 0.0% before, ' in text and 'val, 27 boxes: 0.0% before, ' in text
    assert (tmp_path / 'plot.png').exists() and out.read_text().startswith('# Anchors of ssd_300_mobilenet_v1 for ')
    again = scripts.succeed(*arguments, f'--anchor_preset={out}')
    assert 'train, 27 boxes: 0.0% before' not in again and '--anchor_preset="' in again
