import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from PIL import Image

from visualization import drawing, fonts


@pytest.fixture(autouse=True)
def no_system_fonts(monkeypatch):
    """Only the font of matplotlib exists, and nothing is cached from other tests."""
    def clear():
        for function in (fonts.find_font, fonts._font_paths, fonts._characters):
            function.cache_clear()
        fonts._noted.clear()
    monkeypatch.setattr(fonts, 'system_font_paths', list)
    clear()
    yield
    clear()


def install_font(monkeypatch, path, characters):
    """Write a font whose characters are black squares, and make it the only one of the system."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 800), (800, 800), (800, 0)):
        pen.lineTo(corner)
    pen.closePath()
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(['.notdef', 'square'])
    builder.setupCharacterMap({ord(character): 'square' for character in characters})
    builder.setupGlyf({'.notdef': TTGlyphPen(None).glyph(), 'square': pen.glyph()})
    builder.setupHorizontalMetrics({'.notdef': (500, 0), 'square': (1000, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({'familyName': 'Squares', 'styleName': 'Regular'})
    builder.setupOS2()
    builder.setupPost()
    builder.save(path)
    monkeypatch.setattr(fonts, 'system_font_paths', lambda: [str(path)])
    return str(path)


def names(text):
    """Return the runs of a text as list of (text, file name of the font)."""
    return [(run.text, run.path and run.path.rpartition('/')[2]) for run in fonts.split_runs(text)]


@pytest.mark.parametrize('text, font', [
    ('cat 0.9', None), ('chaton é ß', 'DejaVuSans.ttf'), ('кошка 0.9', 'DejaVuSans.ttf'),
    ('γάτα', 'DejaVuSans.ttf'), ('قطة 0.9', 'DejaVuSans.ttf'), ('Żółw', 'DejaVuSans.ttf')])
def test_scripts_without_a_font_of_the_system(text, font, caplog):
    assert names(text) == [(text, font)] and not caplog.text


def test_each_character_has_a_font_that_has_it(monkeypatch, tmp_path, caplog):
    install_font(monkeypatch, tmp_path / 'squares.ttf', '猫한ね')
    assert names('cat 猫한 кот') == [('cat ', 'DejaVuSans.ttf'), ('猫한', 'squares.ttf'),
                                    (' кот', 'DejaVuSans.ttf')]
    assert not caplog.text


def test_characters_without_a_font_are_codes_and_noted_once(caplog):
    with caplog.at_level('INFO', 'ssd'):
        assert names('猫 0.9') == [('\\u732b 0.9', 'DejaVuSans.ttf')]
        assert names('犬') == [('\\u72ac', 'DejaVuSans.ttf')]
    assert len(caplog.records) == 1
    assert "no installed font has the characters '猫' of '猫 0.9'" in caplog.text


def test_files_that_are_no_fonts_are_not_used(monkeypatch, tmp_path):
    (tmp_path / 'broken.ttf').write_bytes(b'junk')
    paths = [str(tmp_path / 'broken.ttf'), str(tmp_path / 'missing.ttf')]
    monkeypatch.setattr(fonts, 'system_font_paths', lambda: paths)
    assert fonts.find_font('猫') is None


def test_preferred_fonts_come_first(monkeypatch):
    paths = ['/a/Aaa.ttf', '/b/wqy-microhei.ttc', '/c/NotoSansCJK-Regular.ttc']
    monkeypatch.setattr(fonts, 'system_font_paths', lambda: paths)
    assert fonts._font_paths()[1:] == [paths[2], paths[1], paths[0]]


def test_runs_are_drawn_beside_each_other(monkeypatch, tmp_path):
    install_font(monkeypatch, tmp_path / 'squares.ttf', '猫')
    # At 20 pixels, each square has 16 black pixels and 4 white ones.
    image = drawing.text_image(['猫猫'], 20)
    assert image.size == (40, 28)
    alpha = image.getchannel('A')
    columns = [alpha.crop((x, 0, x + 1, 28)).getextrema()[1] == 255 for x in range(40)]
    assert columns == ([True] * 16 + [False] * 4) * 2
    drawn = drawing.draw_detections(Image.new('RGB', (400, 100)), [[.5, .1, .9, .9]], ['猫 é'], [1])
    assert drawn.getpixel((48, 42)) in ((255, 255, 255), (0, 0, 0))   # the square of the caption
