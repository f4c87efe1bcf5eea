"""Photographs and scans of a digit, prepared as MNIST's digits were."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from scipy import ndimage

from core import files
from core.data.drawing import Grey, mnist_form
from core.messages import N_, Message, Problem, reason

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "PPM", "JPEG2000", "TGA")
"""Formats that Pillow reads by itself; for others, such as EPS, it starts programs."""
_MAX_PIXELS, _MAX_BYTES = 100_000_000, 1 << 28
_WORK_SIDE = 512
"""Longest side, in pixels, of the picture that is worked on."""
_LEAST_CONTRAST = 0.08
"""Fraction of the paper's brightness that ink must take away, or add to black."""
_LEAST_OVER_NOISE = 7.0
"""Standard deviations of the paper's texture that ink must stand out."""
_LEAST_SIDE = 1 / 40
"""Longer side of a digit, as a fraction of the picture's: what is smaller is a speck."""
_STROKE = 0.1
"""Width of MNIST's thinner strokes, as a fraction of the digit's longer side."""

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Prepared:
    """A picture in MNIST's form, 28×28, and what casts doubt on it."""

    image: Grey
    doubts: tuple[Message, ...] = ()


def prepare(path: Path) -> Prepared:
    """Read a picture of a digit, and bring it into MNIST's form. Raises `Problem`, also if there is nothing in it."""
    ink = _ink(_brightness(_read(path)))
    found = _one_digit(ink) if ink is not None else None
    if found is None:
        raise Problem(
            "there is no digit in {path}",
            advice=N_("It takes one digit, clearly darker or lighter than its paper."),
            path=str(path),
        )
    digit, doubts = found
    return Prepared(mnist_form(_thickened(digit)), doubts)


# From the file to brightness


def _read(path: Path) -> Image.Image:
    """Read a picture, upright, at most `_WORK_SIDE` long, in grey or RGB or RGBA. Raises `Problem`."""
    try:
        with warnings.catch_warnings(), files.open_regular(path.resolve()) as file:
            warnings.simplefilter("ignore")  # Pillow warns of sizes that are refused below, and of odd metadata
            if os.fstat(file.fileno()).st_size > _MAX_BYTES:
                raise _too_large(path)
            image: Image.Image = Image.open(file, formats=FORMATS)
            if image.width * image.height > _MAX_PIXELS:
                raise _too_large(path)
            image.draft("RGB", (_WORK_SIDE, _WORK_SIDE))  # has a JPEG decoded at half, a quarter or an eighth
            return _reduced(ImageOps.exif_transpose(image))
    except Problem:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(path) from error
    except UnidentifiedImageError as error:
        raise Problem(
            "{path} is not a picture that can be read", advice=N_("Save it as PNG or JPEG."), path=str(path)
        ) from error
    except Exception as error:  # the decoders raise almost anything for a damaged file
        raise Problem("cannot read {path}: {reason}", path=str(path), reason=reason(error)) from error


def _too_large(path: Path) -> Problem:
    text = N_("the picture {path} is too large: at most {count} million pixels")
    return Problem(text, path=str(path), count=_MAX_PIXELS // 1_000_000)


def _reduced(image: Image.Image) -> Image.Image:
    """Return a picture in 8 bits per channel, made smaller by averaging."""
    if image.mode[0] in "IF":  # more than 8 bits, in any range
        values = np.nan_to_num(np.asarray(image, np.float32))
        low, high = float(values.min()), float(values.max())
        image = Image.fromarray(((values - low) * (255 / max(high - low, 1e-9))).astype(np.uint8))
    elif image.has_transparency_data:
        image = image.convert("RGBA").convert("RGBa")  # averages must not take in the colour of what is transparent
    elif image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    scale = _WORK_SIDE / max(image.size)
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BOX)
    return image.convert("RGBA") if image.mode == "RGBa" else image


def _brightness(image: Image.Image) -> Plane:
    """Return a picture's brightness from 0 to 1, in the channel in which it has the most contrast.

    What is transparent is taken for paper: white, or black where what is drawn is light.
    """
    channels = np.atleast_3d(np.asarray(image, np.float32) / 255)
    if channels.shape[2] == 4:
        colours, opacity = channels[..., :3], channels[..., 3:]
        drawn = float((colours * opacity).sum() / max(float(opacity.sum()) * 3, 1e-9))
        channels = colours * opacity + (1 - opacity) * (drawn < 0.5)
    plane: Plane = channels[..., int(channels.std((0, 1)).argmax())].astype(np.float32)
    return plane


# From brightness to ink


def _ink(brightness: Plane) -> Plane | None:
    """Return how much ink there is, from 0 to 1, without the light and the paper's texture; None if there is none."""
    side = min(brightness.shape)
    smooth = ndimage.gaussian_filter(brightness, side / 300, mode="nearest")
    above = smooth - _light_from_border(smooth)
    is_dark = -float(above.min()) > float(above.max())
    paper = _without_strokes(-smooth if is_dark else smooth, max(3, side // 3))
    # Light multiplies: in the shadow, dark ink takes the same fraction of it away.
    ink = 1 + smooth / np.minimum(paper, -0.05) if is_dark else smooth - paper
    level = float(np.median(ink))  # the opening takes the texture's extremes for paper
    noise = 1.4826 * float(np.median(np.abs(ink - level)))
    ink = ink - level
    peak = float(ink.max())
    if peak < max(_LEAST_CONTRAST, _LEAST_OVER_NOISE * noise):
        return None
    core = 0.9 * float(np.median(ink[ink > peak / 2]))
    floor = max(core / 4, 4 * noise)
    if core <= floor:
        return None
    full: Plane = ((ink - floor) / (core - floor)).clip(0, 1).astype(np.float32)
    return full


def _without_strokes(plane: Plane, size: int) -> Plane:
    """Return a plane without what is bright and narrower than `size`, which no gradient nor edge of a shadow is."""
    # The padding goes on with the slope at the edge, where a gradient would else look like a stroke; without the noise.
    padded = np.pad(ndimage.gaussian_filter(plane, size / 10), size, mode="reflect", reflect_type="odd")
    padded[size:-size, size:-size] = plane
    opened = ndimage.grey_opening(padded, size=(size, size), mode="nearest")
    inner: Plane = opened[size:-size, size:-size]
    return inner


def _light_from_border(brightness: Plane) -> Plane:
    """Return the light as a quadratic surface through the picture's margin, which is taken for paper."""
    height, width = brightness.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    terms = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], -1)
    is_margin = np.maximum(abs(x), abs(y)) > 0.88
    at, values = terms[is_margin], brightness[is_margin]
    kept = np.ones(len(values), bool)
    for _round in range(4):  # without what lies over the edge: a neighbour, a table
        factors = np.linalg.lstsq(at[kept], values[kept], rcond=None)[0]
        errors = abs(values - at @ factors)
        kept = errors <= max(2.5 * float(np.median(errors)), 0.02)
    surface: Plane = (terms @ factors).astype(np.float32)
    return surface


# From ink to one digit


def _one_digit(ink: Plane) -> tuple[Grey, tuple[Message, ...]] | None:
    """Cut out the largest connected digit, with its loose parts; return it, and doubts that it is one.

    If it is smaller than `_LEAST_SIDE`, there is none.
    """
    labels, count = ndimage.label(ink > 0, np.ones((3, 3)))
    areas = ndimage.sum_labels(ink, labels, np.arange(1, count + 1))
    boxes = ndimage.find_objects(labels)
    inside = np.array([_is_inside(box, ink.shape) for box in boxes])
    # What lies over the edge is a table or a neighbour, unless nothing else is as large as a part of it.
    weights = np.where(inside, areas, areas / 8)
    main = int(weights.argmax())
    if max(part.stop - part.start for part in boxes[main]) < _LEAST_SIDE * max(ink.shape):
        return None
    near = _widened(boxes[main], 0.12)
    belongs = [number == main or _meets(box, near) for number, box in enumerate(boxes)]
    is_other = inside & (areas > 0.1 * areas[main])
    large = [areas[number] > 0.02 * areas[main] for number in range(count)]
    kept = [number + 1 for number in range(count) if belongs[number] and large[number]]
    digit = np.where(np.isin(labels, kept), ink, 0)
    doubts = []
    if any(is_other[number] and not belongs[number] for number in range(count)):
        doubts.append(Message(N_("there are several things in it: the largest is taken")))
    if not inside[main]:
        doubts.append(Message(N_("the digit touches the edge of the picture")))
    (part,) = ndimage.find_objects((digit > 0).astype(np.uint8))
    cut = digit[part]
    if cut.shape[1] > 1.5 * cut.shape[0]:
        doubts.append(Message(N_("it is wider than a digit: more than one that touch?")))
    return (255 * cut).round().astype(np.uint8), tuple(doubts)


Box = tuple[slice, slice]


def _is_inside(box: Box, shape: tuple[int, ...]) -> bool:
    return all(part.start > 0 and part.stop < side for part, side in zip(box, shape, strict=True))


def _widened(box: Box, share: float) -> Box:
    """Return a box widened on each side by a fraction of its longer side."""
    margin = round(share * max(part.stop - part.start for part in box))
    rows, columns = (slice(part.start - margin, part.stop + margin) for part in box)
    return rows, columns


def _meets(box: Box, other: Box) -> bool:
    return all(one.start < two.stop and two.start < one.stop for one, two in zip(box, other, strict=True))


def _thickened(digit: Grey) -> Grey:
    """Widen the strokes of a thin pen to those of MNIST's thinner ones: scaled down they would hardly be seen."""
    side = max(digit.shape)
    padded = np.pad(digit, side // 10 + 1)
    depth = ndimage.distance_transform_edt(padded > 127)
    ridge = depth[(depth > 0) & (depth >= ndimage.maximum_filter(depth, 3))]
    width = 2 * float(np.median(ridge)) - 1 if len(ridge) else 1.0
    radius = round((_STROKE * side - width) / 2)
    if radius < 1:
        return digit
    y, x = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    thick: Grey = ndimage.grey_dilation(padded, footprint=x * x + y * y <= radius * radius)
    return thick
