import numpy as np
import pytest
from PIL import Image

from visualization import drawing


def test_a_box_is_drawn_along_its_edges_in_the_color_of_its_class():
    image = Image.new('RGB', (200, 100), 'black')
    drawn = np.asarray(drawing.draw_detections(image, [[.5, .25, .9, .75]], ['cat 0.90'], [1]))
    for y, x in ((50, 100), (89, 100), (70, 50), (70, 149)):
        assert tuple(drawn[y, x]) == drawing.class_color(1)
    assert drawn[70, 100].sum() == 0 and drawn[95, 100].sum() == 0
    assert np.asarray(image).sum() == 0   # the original is not changed


def test_the_best_detection_is_on_top():
    image = Image.new('RGB', (100, 100))
    drawn = drawing.draw_detections(image, [[.5, .1, .9, .9]] * 2, ['', ''], [1, 2])
    assert drawn.getpixel((50, 89)) == drawing.class_color(1)


@pytest.mark.parametrize('box', [
    [0, 0, 1, 1], [0, .95, .01, 1], [.5, .5, .5, .5], [.99, .99, 1, 1]])
def test_long_captions_and_tiny_boxes_can_be_drawn(box):
    image = Image.new('RGB', (60, 40))
    drawn = drawing.draw_detections(image, [box], ['a rather long class name 0.99'], [3])
    assert drawn.size == (60, 40)


def test_without_detections_the_image_is_not_changed():
    image = Image.new('RGB', (20, 10), (1, 2, 3))
    assert drawing.draw_detections(image, [], [], []).tobytes() == image.tobytes()


def test_gray_images_become_rgb():
    assert drawing.draw_detections(Image.new('L', (20, 10)), [], [], []).mode == 'RGB'


def test_class_colors_are_distinct():
    colors = np.array([drawing.class_color(label) for label in range(1, 21)], int)
    distances = np.abs(colors[:, None] - colors[None]).sum(-1) + 999 * np.eye(20, dtype=int)
    assert distances.min() > 20


def test_contact_sheet():
    images = [Image.new('RGB', (40, 20), 'red')] * 3
    sheet = drawing.contact_sheet(images, columns=2, cell=20, margin=2)
    assert sheet.size == (46, 46)
    assert sheet.getpixel((12, 12)) == (255, 0, 0) and sheet.getpixel((0, 0)) == (255, 255, 255)
