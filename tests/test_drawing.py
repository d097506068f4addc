import numpy as np
from PIL import Image

from visualization import drawing


def test_a_box_is_drawn_on_its_edges_in_the_colour_of_its_class():
    image = Image.new('RGB', (200, 100), 'black')
    drawn = np.asarray(drawing.draw_detections(image, [[.5, .25, .9, .75]], ['cat 0.90'], [1]))
    for y, x in ((50, 100), (89, 100), (70, 50), (70, 149)):
        assert tuple(drawn[y, x]) == drawing.colour_of(1)
    assert drawn[70, 100].sum() == 0 and drawn[95, 100].sum() == 0
    assert np.asarray(image).sum() == 0          # the given picture stays as it was


def test_the_best_lies_on_top():
    image = Image.new('RGB', (100, 100))
    drawn = np.asarray(drawing.draw_detections(image, [[.5, .1, .9, .9]] * 2, ['', ''], [1, 2]))
    assert tuple(drawn[89, 50]) == drawing.colour_of(1)


def test_captions_stay_in_the_picture_and_tiny_boxes_do_not_fail():
    image = Image.new('RGB', (60, 40))
    for box in ([0, 0, 1, 1], [0, .95, .01, 1], [.5, .5, .5, .5], [.99, .99, 1, 1]):
        assert drawing.draw_detections(image, [box], ['a rather long class name 0.99'], [3]).size == (60, 40)


def test_nothing_found_gives_the_picture():
    image = Image.new('RGB', (20, 10), (1, 2, 3))
    assert drawing.draw_detections(image, [], [], []).tobytes() == image.tobytes()


def test_grey_pictures_are_drawn_in_colour():
    assert drawing.draw_detections(Image.new('L', (20, 10)), [], [], []).mode == 'RGB'


def test_colours_of_neighbouring_classes_differ():
    colours = np.array([drawing.colour_of(label) for label in range(1, 21)], int)
    distance = np.abs(colours[:, None] - colours[None]).sum(-1) + 999 * np.eye(20, dtype=int)
    assert distance.min() > 20


def test_contact_sheet():
    sheet = drawing.contact_sheet([Image.new('RGB', (40, 20), 'red')] * 3, columns=2, cell=20, margin=2)
    assert sheet.size == (46, 46)
    assert sheet.getpixel((12, 12)) == (255, 0, 0) and sheet.getpixel((0, 0)) == (255, 255, 255)
