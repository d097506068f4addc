import pytest
from evaluated import SQUARE, gathered, picture
from image_files import write_image

from datasets import dataset_factory, dataset_info, records, schema, voc
from metrics.evaluation import Evaluation
from visualization import evaluation_files


@pytest.fixture
def dataset(tmp_path):
    """Three pictures of different sizes in two files."""
    with records.ShardWriter(str(tmp_path), 'pets', 'val', 2) as writer:
        for number in range(3):
            path = write_image(tmp_path / f'JPEGImages/{number}.jpg', (30 + number, 20))
            writer.write(number // 2, schema.serialize(voc.read_unlabeled(str(tmp_path), path.stem), {}))
    dataset_info.write_split(tmp_path, 'pets', ['cat', 'dog'], 'val', writer.counts)
    return dataset_factory.get_dataset('', 'val', str(tmp_path))


def test_pictures_are_found_by_their_place(dataset, tmp_path):
    for number in range(3):
        assert evaluation_files.encoded(dataset, number) == (tmp_path / f'JPEGImages/{number}.jpg').read_bytes()
    with pytest.raises(IndexError):
        evaluation_files.encoded(dataset, 3)


def test_files(dataset, tmp_path):
    evaluation = gathered(Evaluation(dataset.class_names, num_worst=5, keep=[2]), picture(),
                          picture([SQUARE], [2], (), [SQUARE], [1], [.9], filename=''), picture([SQUARE], [1]))
    out = tmp_path / 'out'
    out.mkdir()
    evaluation_files.write(str(out), 'pets val, step 7', evaluation, dataset)
    assert sorted(path.name for path in out.iterdir()) == ['confusion.csv', 'precision_recall.png',
                                                           'worst_pictures.html']
    assert (out / 'confusion.csv').read_text() == ('ground truth \\ detected as,cat,dog,missed\ncat,0,0,1\ndog,1,0,0\n'
                                                   'no object,0,0,\n')
    page = (out / 'worst_pictures.html').read_text()
    assert 'Worst pictures: pets val, step 7' in page and page.count('<figure>') == 2
    assert '<b>picture 1</b>: 1 mistake: dog taken for cat' in page and '<b>a.jpg</b>: 1 mistake: cat missed' in page
    (name, drawn), = evaluation_files.kept_pictures(evaluation, dataset)
    assert name == 'a.jpg' and drawn.size == (560, 350)
