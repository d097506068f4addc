import numpy as np
import pytest
from PIL import Image

from visualization import curves

CURVE = curves.Curve('cat', np.array([.5, 1, 1]), np.array([1, .9, .6]), np.array([.9, .6, .3]), 1.)
EMPTY = curves.Curve('dog', *[np.zeros(0)] * 3, float('nan'))
BLUE = (31, 119, 180)   # of matplotlib's first line


@pytest.mark.parametrize('num_curves, num_pages', [(1, 1), (3, 1), (4, 2)])
def test_curves_are_split_into_pages(tmp_path, monkeypatch, num_curves, num_pages):
    monkeypatch.setattr(curves, '_CURVES_PER_PAGE', 3)
    paths = curves.draw_pages(str(tmp_path / 'curves.png'), 'pets',
                              [CURVE, EMPTY, CURVE, CURVE][:num_curves], .5)
    expected = ['curves.png', 'curves_2.png'][:num_pages]
    assert [path.rpartition('/')[2] for path in paths] == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == expected
    for path in paths:
        with Image.open(path) as image:
            assert image.format == 'PNG'
            pixels = np.asarray(image.convert('RGB')).reshape(-1, 3).astype(int)
        assert (np.abs(pixels - BLUE).sum(1) < 30).sum() > 50   # a curve is drawn


def test_names_are_not_parsed_as_formulas(tmp_path, recwarn):
    curves.draw_pages(str(tmp_path / 'curves.png'), 'a$_$b',
                      [CURVE._replace(class_name='$x^$ 5'), CURVE._replace(class_name='猫')], .5)
    assert (tmp_path / 'curves.png').exists() and not list(recwarn)


@pytest.mark.parametrize('recall, expected', [
    ([.5, .5, .5, .5, 1, 1], [0, 3, 4, 5]), ([0, 0, .5], [1, 2]), ([0, 0, 0], [2]), ([], [])])
def test_vertex_indices(recall, expected):
    assert curves.vertex_indices(np.array(recall)).tolist() == expected


def test_vertices_are_limited():
    assert len(curves.vertex_indices(np.linspace(.1, 1, 5000), 100)) == 100


def test_a_curve_of_many_detections_gives_a_small_file(tmp_path):
    values = np.linspace(0, 1, 200000)
    curve = curves.Curve('cat', values, 1 - values, 1 - values, .5)
    curves.draw_pages(str(tmp_path / 'curves.png'), 'pets', [curve], .5)
    assert (tmp_path / 'curves.png').stat().st_size < 100000
