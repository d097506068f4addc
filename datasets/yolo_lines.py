"""The lines of a YOLO text: boxes, outlines, and boxes with keypoints."""
import os

from datasets import class_lists, images, yolo_config
from datasets.annotation import BadBox, make_annotation, relative_box

_PIXELS = 2.   # no fraction of an image is so large: boxes may exceed it by rounding only


def read_annotation(path, label_path, config, on_bad_box=None, read_image=images.read_jpeg):
    """Read one image and its text file as `Annotation`.

    Args:
        path: Path of the image.
        label_path: Path of the text file, which may not exist.
        config: `yolo_config.YoloConfig`.
        on_bad_box: Function (BadBox), called for each box that is skipped. None: raise the error.
        read_image: Function from a path to an `images.EncodedImage`.
    """
    jpeg = read_image(path)
    text = class_lists.read_text(label_path) if os.path.lexists(label_path) else ''
    lines = [(number, line) for number, line in enumerate(text.split('\n'), 1) if line.strip()]

    def parse_object(numbered_line):
        number, line = numbered_line
        location, values = f'{label_path}, line {number}', line.split()
        corners, text = _parse_corners(location, values, config.num_keypoint_values)
        name = _parse_name(location, values[0], config)
        description = f"{location}: the box of a '{name}' ({text}, as fractions of the image)"
        if max(map(abs, corners)) > _PIXELS:
            raise BadBox('outside', f'{description} seems to be in pixels, far outside the image. '
                                    f'Divide its values by the width and height of the image')
        sides = jpeg.width, jpeg.height, jpeg.width, jpeg.height
        corners = [corner * side for corner, side in zip(corners, sides, strict=True)]
        return relative_box(description, corners, jpeg), name, False, False
    return make_annotation(path, jpeg, lines, parse_object, on_bad_box)


def is_label_text(path, in_label_folder):
    """Return whether a text file seems to contain boxes.

    An empty one does if `in_label_folder`, which says whether texts of images are in its folder.
    """
    if not os.path.isfile(path) or yolo_config.is_list(path):
        return False
    with open(path, 'rb') as file:
        values = file.read(4096).decode('utf-8-sig', 'replace').split('\n')
    values = next(filter(None, map(str.split, values)), [])
    if not values:
        return in_label_folder
    try:
        return len(list(map(float, values))) >= 5
    except ValueError:
        return False


def _parse_corners(location, values, num_keypoint_values):
    """Parse the numbers of a line.

    Returns:
        (xmin, ymin, xmax, ymax) as fractions of the image, and the values as text.

    Raises:
        BadBox: If the values are not a box or an outline.
    """
    line = ' '.join(values)[:60]
    try:
        numbers = list(map(float, values[1:]))
    except ValueError:
        numbers = []
    if len(numbers) == 4 or (num_keypoint_values and len(numbers) == 4 + num_keypoint_values):
        cx, cy, width, height = numbers[:4]
        return ((cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2),
                f'cx {cx:g}, cy {cy:g}, w {width:g}, h {height:g}')
    if len(numbers) == 5:
        raise BadBox('unreadable', f"{location}: expected five numbers class cx cy w h, but there "
                                   f"are six: '{line}'. The sixth seems to be the confidence of a "
                                   f'detection, which is not ground truth. Remove it if it is')
    if len(numbers) < 6 or len(numbers) % 2:
        raise BadBox('unreadable', f"{location}: expected five numbers class cx cy w h, or an "
                                   f"outline class x1 y1 x2 y2 x3 y3 ..., but the line is '{line}'")
    columns, rows = numbers[::2], numbers[1::2]
    return ((min(columns), min(rows), max(columns), max(rows)),
            f'an outline of {len(columns)} points from x {min(columns):g}, y {min(rows):g} to '
            f'x {max(columns):g}, y {max(rows):g}')


def _parse_name(location, text, config):
    """Return the class name of a line from the text of its class number."""
    try:
        label = float(text)
    except ValueError as error:
        raise BadBox('unreadable', f"{location}: expected five numbers class cx cy w h, but the "
                                   f"class is '{text[:60]}'") from error
    if label not in config.names:
        raise BadBox('unknown', f'{location}: class {text[:60]} is not among the '
                                f'{len(config.names)} classes of {config.path}, which count from '
                                f'{min(config.names)}')
    name = config.names[int(label)]
    if class_lists.is_background(name):
        raise BadBox('unknown', f"{location}: class {text} is '{name}' in {config.path}, which is "
                                f'the background and has no boxes. Correct the class')
    return name
