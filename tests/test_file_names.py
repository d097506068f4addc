import unicodedata

import pytest

from datasets import file_names

NAME = 'Capture_décran (HD).jpg'


@pytest.mark.parametrize('name, path', [
    ('a.jpg', 'a.jpg'), ('./cam1/a.jpg', 'cam1/a.jpg'), ('cam1\\a.jpg', 'cam1/a.jpg'),
    ('C:\\data\\cam1\\a.jpg', 'cam1/a.jpg'), ('/home/me/cam1/a.jpg', 'cam1/a.jpg'),
    ('../cam1/a.jpg', 'cam1/a.jpg'), ('cam2/a.jpg', 'a.jpg'), ('data/cam%31/a.jpg', 'cam1/a.jpg'),
    ('Capture_d%C3%A9cran%20(HD).jpg', NAME), (unicodedata.normalize('NFD', NAME), NAME),
    ('b.jpg', None), ('../b.jpg', None), ('/etc/passwd', None), ('%2e%2e/b.jpg', None),
    ('', None), ('a.jpg\0', None), ('\ud800.jpg', None), ('/' * 5000, None), ('a/' * 5000, None)])
def test_find(tmp_path, name, path):
    """b.jpg is outside of the folder."""
    root = tmp_path / 'pets'
    (root / 'cam1').mkdir(parents=True)
    for file in (root / 'a.jpg', root / 'cam1/a.jpg', root / NAME, tmp_path / 'b.jpg'):
        file.write_bytes(b'')
    expected = str(root / path) if path else None
    assert file_names.find(name, [str(root)], str(root)) == expected
    assert file_names.find(name, [str(root / 'gone'), f'{root}/'], None) == expected


@pytest.mark.parametrize('parts, path', [
    (('pets', 'a.jpg'), 'pets/a.jpg'), (('pets', 'cam1/../a.jpg'), 'pets/a.jpg'),
    (('pets', '.'), 'pets'), (('pets', '..'), None), (('pets', '../pets2'), None),
    (('pets', '/etc'), None), (('pets', 'a\0'), None)])
def test_join_inside(parts, path):
    assert file_names.join_inside('pets', *parts) == path


def test_canonical_names():
    decomposed = unicodedata.normalize('NFD', NAME)
    assert file_names.canonical(decomposed) == file_names.canonical(
        'Capture_d%C3%A9cran%20(HD).jpg') == NAME
