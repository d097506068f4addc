import numpy as np
import pytest
from PIL import Image

from visualization import curves

CURVE = curves.Curve('cat', np.array([.5, 1, 1]), np.array([1, .9, .6]), np.array([.9, .6, .3]), 1.)
EMPTY = curves.Curve('dog', *[np.zeros(0)] * 3, float('nan'))


@pytest.mark.parametrize('count, pages', [(1, 1), (3, 1), (4, 2)])
def test_a_page_for_so_many_classes(tmp_path, monkeypatch, count, pages):
    monkeypatch.setattr(curves, '_A_PAGE', 3)
    found = curves.draw(str(tmp_path / 'curves.png'), 'pets', [CURVE, EMPTY][:count] + [CURVE] * (count - 2), .5)
    assert [path.rpartition('/')[2] for path in found] == ['curves.png', 'curves_2.png'][:pages]
    assert sorted(path.name for path in tmp_path.iterdir()) == ['curves.png', 'curves_2.png'][:pages]
    for path in found:
        with Image.open(path) as image:
            colours = np.asarray(image.convert('RGB')).reshape(-1, 3).astype(int)
        blue = (np.abs(colours - (31, 119, 180)).sum(1) < 30).sum()
        assert image.format == 'PNG' and blue > 50          # a curve is there


def test_names_are_no_formulas(tmp_path, recwarn):
    curves.draw(str(tmp_path / 'curves.png'), 'a$_$b', [CURVE._replace(name='$x^$ 5'), CURVE._replace(name='猫')], .5)
    assert (tmp_path / 'curves.png').exists() and not list(recwarn)


def test_what_a_curve_is_drawn_of():
    assert curves.corners(np.array([.5, .5, .5, .5, 1, 1])).tolist() == [0, 3, 4, 5]
    assert curves.corners(np.array([0, 0, .5])).tolist() == [1, 2] and curves.corners(np.zeros(3)).tolist() == [2]
    assert curves.corners(np.zeros(0)).tolist() == []
    assert len(curves.corners(np.linspace(.1, 1, 5000), 100)) == 100


def test_very_many_detections_are_drawn_as_a_thousand(tmp_path):
    many = np.linspace(0, 1, 200000)
    curves.draw(str(tmp_path / 'curves.png'), 'pets', [curves.Curve('cat', many, 1 - many, 1 - many, .5)], .5)
    assert (tmp_path / 'curves.png').stat().st_size < 100000
