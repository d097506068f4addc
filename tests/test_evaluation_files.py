import pytest
from evaluated_images import SQUARE, add_all, make_image
from image_files import write_image

from datasets import dataset_factory, dataset_info, records, schema, voc
from metrics.evaluation import Evaluation
from visualization import evaluation_files


@pytest.fixture
def dataset(tmp_path):
    """Three images of different sizes in two files of records."""
    with records.ShardWriter(str(tmp_path), 'pets', 'val', 2) as writer:
        for number in range(3):
            path = write_image(tmp_path / f'JPEGImages/{number}.jpg', (30 + number, 20))
            annotation = voc.read_unlabeled(str(path))
            writer.write(number // 2, schema.serialize(annotation, {}))
    dataset_info.write_split(tmp_path, 'pets', ['cat', 'dog'], 'val', writer.counts)
    return dataset_factory.get_dataset('', 'val', str(tmp_path))


def test_images_are_read_by_index_over_all_files(dataset, tmp_path):
    for index in range(3):
        content = (tmp_path / f'JPEGImages/{index}.jpg').read_bytes()
        assert evaluation_files.read_encoded_image(dataset, index) == content
    with pytest.raises(IndexError, match='pets val has no record 3'):
        evaluation_files.read_encoded_image(dataset, 3)


def test_files_and_kept_images(dataset, tmp_path):
    evaluation = add_all(
        Evaluation(dataset.class_names, num_worst=5, kept_indices=[2]), make_image(),
        make_image([SQUARE], [2], [(SQUARE, 1, .9)], filename=''), make_image([SQUARE], [1]))
    out = tmp_path / 'out'
    out.mkdir()
    evaluation_files.write_files(str(out), 'pets val, step 7', evaluation, dataset)
    assert sorted(path.name for path in out.iterdir()) == [
        'confusion.csv', 'precision_recall.png', 'worst_pictures.html']
    assert (out / 'confusion.csv').read_text() == (
        'ground truth \\ detected as,cat,dog,missed\ncat,0,0,1\ndog,1,0,0\nno object,0,0,\n')
    page = (out / 'worst_pictures.html').read_text()
    assert 'Worst images: pets val, step 7' in page and page.count('<figure>') == 2
    assert '<b>image 1</b>: 1 error: dog detected as cat' in page
    assert '<b>a.jpg</b>: 1 error: cat missed' in page
    (name, drawn), = evaluation_files.draw_kept_images(evaluation, dataset)
    assert name == 'a.jpg' and drawn.size == (560, 350)
