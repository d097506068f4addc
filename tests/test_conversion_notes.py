"""What --check and conversion say about data that is not used, and the default names."""
import json

import pytest
from image_files import write_image
from voc_folder import box_xml, write_voc

import scripts

pytestmark = pytest.mark.slow


def test_notes_of_check_and_conversion(tmp_path):
    """Only a is in the split list; it has the same box twice."""
    folder = write_voc(tmp_path / 'my pets', {'a': box_xml() * 2, 'b': box_xml()})
    (folder / 'ImageSets/Main/train.txt').write_text('a.jpg')
    (folder / 'ImageSets/Main/val.txt').write_text('a')
    arguments = ['tf_convert_data.py', f'--dataset_dir={folder}', f'--output_dir={tmp_path}/out']
    text = scripts.succeed(*arguments, '--check')
    assert 'note: files or annotations that are not used: 1\n  train: ' in text   # and not in val
    assert f'{folder}/Annotations/b.xml is in no split list' in text
    assert 'note: boxes that occur twice in an image: 2' in text
    text = scripts.succeed(*arguments)
    assert 'train: 1 image, 1 box, 1 class ' in text
    assert (f'train: note: files or annotations that are not used: 1, for example: {folder}/'
            f'Annotations/b.xml is in no split list (run with --check to list them)') in text
    assert 'val: note: boxes that occur twice in an image: 1, for example: ' in text
    assert 'val: note: files' not in text
    info = json.loads((tmp_path / 'out/dataset.json').read_text())
    assert info['name'] == 'my pets'   # that of the folder
    assert (tmp_path / 'out/my pets_val_00000-of-00001.tfrecord').exists()
    text = scripts.succeed(*arguments, '--overwrite', '--split_names=val')
    assert 'val: 1 image' in text


def test_check_and_conversion_know_the_same_classes(tmp_path):
    """The id 1 is a cat in one split and a dog in the other."""
    for split, name in (('train', 'cat'), ('val', 'dog')):
        write_image(tmp_path / f'{split}/a.jpg', color=(len(split), 0, 0))
        path = tmp_path / f'annotations/instances_{split}.json'
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({
            'images': [{'id': 1, 'file_name': 'a.jpg'}], 'categories': [{'id': 1, 'name': name}],
            'annotations': [{'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [1, 1, 9, 9]}]}))
    arguments = ['tf_convert_data.py', f'--dataset_dir={tmp_path}', f'--output_dir={tmp_path}/out']
    check, conversion = scripts.run(*arguments, '--check'), scripts.run(*arguments)
    assert (check.returncode == 0) == (conversion.returncode == 0), check.stdout + conversion.stderr
