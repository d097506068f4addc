"""Draw boxes and captions onto images."""
import colorsys
import io

from PIL import Image, ImageDraw

from visualization import fonts

_ANCHOR = 'ls'   # of text: its left end on the baseline, which all fonts share
_GOLDEN_RATIO = .618034   # hue step between classes; keeps the hues of any number of classes apart


def class_color(label):
    """Return the RGB color of a class, the same in every image."""
    hue = label * _GOLDEN_RATIO % 1.
    return tuple(round(255 * channel) for channel in colorsys.hsv_to_rgb(hue, .75, .95))


def draw_detections(image, boxes, captions, labels, scale=1.):
    """Return a copy of an image with its detections drawn in the colors of their classes.

    Args:
        image: PIL image of any mode; the copy is RGB.
        boxes: [D, 4] relative boxes, best detection first. The best one is drawn last, on top.
        captions: D strings; '' for no caption.
        labels: D labels.
        scale: factor of line width and font size, which grow with the size of the image.
    """
    return draw_boxes(image, boxes, captions, [class_color(label) for label in labels], scale)


def draw_boxes(image, boxes, captions, colors, scale=1.):
    """Do the same as `draw_detections`, with an RGB color for each box instead of its label."""
    image = image.convert('RGB')
    size = scale * max(image.size)
    line_width = max(2, round(size / 250))
    font_size = max(10, round(size / 38))
    drawing = ImageDraw.Draw(image)
    sides = (image.height, image.width) * 2
    for box, caption, color in reversed(list(zip(boxes, captions, colors, strict=True))):
        ymin, xmin, ymax, xmax = (round(float(edge) * side)
                                  for edge, side in zip(box, sides, strict=True))
        drawing.rectangle([xmin, ymin, max(xmax - 1, xmin), max(ymax - 1, ymin)], outline=color,
                          width=line_width)
        if caption:
            _draw_caption(drawing, image.size, (xmin, ymin), caption, color, font_size)
    return image


def _draw_caption(drawing, image_size, corner, caption, color, font_size):
    """Draw a filled label at the upper left corner of a box: above it if it fits, else inside."""
    runs, (text_left, text_top, text_right, text_bottom) = _layout(drawing, caption, font_size)
    pad = max(1, (text_bottom - text_top) // 5)
    width = text_right - text_left + 2 * pad
    height = text_bottom - text_top + 2 * pad
    x = max(0, min(corner[0], image_size[0] - width))
    y = corner[1] - height if corner[1] >= height else corner[1]
    drawing.rectangle([x, y, x + width - 1, y + height - 1], fill=color)
    brightness = .3 * color[0] + .59 * color[1] + .11 * color[2]
    text_color = 'black' if brightness > 120 else 'white'
    for start, text, font in runs:
        drawing.text((x + pad - text_left + start, y + pad - text_top), text, font=font,
                     fill=text_color, anchor=_ANCHOR)


def _layout(drawing, text, font_size):
    """Return the parts of a text and its box (left, top, right, bottom), in pixels.

    A part is (start, text, font). All positions are relative to the start of the baseline.
    """
    runs, boxes, start = [], [], 0
    for run in fonts.split_runs(text):
        font = fonts.load(run.path, font_size)
        runs.append((start, run.text, font))
        boxes.append(drawing.textbbox((start, 0), run.text, font=font, anchor=_ANCHOR))
        start += round(font.getlength(run.text))
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return runs, (min(lefts), min(tops), max(rights), max(bottoms))


def text_image(lines, font_size):
    """Return black lines of text, centered, as PIL image with a transparent background."""
    drawing = ImageDraw.Draw(Image.new('L', (1, 1)))
    layouts = [_layout(drawing, line, font_size) for line in lines]
    line_height = round(1.4 * font_size)
    width = max(right - left for _, (left, _, right, _) in layouts)
    image = Image.new('RGBA', (max(width, 1), line_height * len(lines)), (0, 0, 0, 0))
    drawing = ImageDraw.Draw(image)
    for row, (runs, (left, _, right, _)) in enumerate(layouts):
        for start, text, font in runs:
            drawing.text(((width - right - left) // 2 + start, line_height * row + font_size), text,
                         font=font, fill='black', anchor=_ANCHOR)
    return image


def encode_jpeg(image, quality=92):
    """Return a PIL image as JPEG bytes."""
    buffer = io.BytesIO()
    image.save(buffer, 'JPEG', quality=quality)
    return buffer.getvalue()


def contact_sheet(images, columns, cell, margin=6):
    """Return a PIL image with images in a grid, row by row.

    Args:
        images: PIL images; each is shrunk to fit into its cell, and centered.
        columns: number of columns.
        cell: side of the square cells in pixels.
        margin: space between the cells in pixels.
    """
    rows = -(-len(images) // columns)
    step = cell + margin
    sheet = Image.new('RGB', (columns * step + margin, rows * step + margin), 'white')
    for index, image in enumerate(images):
        thumbnail = image.copy()
        thumbnail.thumbnail((cell, cell), Image.LANCZOS)
        sheet.paste(thumbnail, (margin + index % columns * step + (cell - thumbnail.width) // 2,
                                margin + index // columns * step + (cell - thumbnail.height) // 2))
    return sheet
