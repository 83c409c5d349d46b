"""PIL's images as arrays, by the shape that a model takes. Nothing is resized, and no value of a pixel is changed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

from ..errors import InvalidInputError
from ..ml import TensorSpec

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""PIL's names of what an image with so many channels is."""


class Layout(NamedTuple):
    """How an image lies in a tensor."""

    channels: int
    """0 where the tensor has no dimension for them, and they are one."""
    first: bool
    """Whether they come before height and width."""
    height: str | int
    width: str | int


def is_image(data: object) -> TypeGuard[Image]:
    """Whether this is an image of PIL. PIL is not imported for that."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(data, module.Image)


def layout_of(spec: TensorSpec) -> Layout:
    """How one image lies in a tensor of rank 3 or 4.

    Raises:
        InvalidInputError: it takes no images, or its shape does not say where the channels are.
    """
    shape = spec.shape
    if len(shape) not in (3, 4) or not spec.dtype.startswith(("uint8", "float")):
        raise InvalidInputError(
            f"The input {spec.name!r} takes {spec.dtype} of shape {list(shape)}, which is not an image.",
            hint="Images go to inputs of uint8 or floats with 3 or 4 dimensions. Pass an array.",
            field=spec.name,
        )
    is_last, is_first = shape[-1] in MODES, shape[-3] in MODES
    if is_last != is_first:
        channels = shape[-1] if is_last else shape[-3]
        height, width = shape[-3:-1] if is_last else shape[-2:]
        return Layout(int(channels), is_first, height, width)
    if len(shape) == 3 and not is_last and all(isinstance(n, int) and n > 0 for n in shape[1:]):
        # Grey images, the batch first.
        return Layout(0, False, shape[1], shape[2])
    raise InvalidInputError(
        f"The shape {list(shape)} of the input {spec.name!r} does not say which dimension is the colour.",
        hint="Pass an array instead, such as numpy.asarray(image), laid out as the model takes it.",
        field=spec.name,
    )


def array_of(image: Image, spec: TensorSpec) -> np.ndarray:
    """The pixels of one image, 0 to 255, without a batch dimension; upright as its EXIF says, as browsers show it.

    Raises:
        InvalidInputError: the model takes no images, or of another size, or with other channels.
    """
    import numpy as np
    from PIL import ImageOps

    layout = layout_of(spec)
    image = ImageOps.exif_transpose(image)
    wanted = MODES[layout.channels or 1]
    for given, size in ((image.height, layout.height), (image.width, layout.width)):
        if isinstance(size, int) and size not in (-1, given):
            raise InvalidInputError(
                f"The image for the input {spec.name!r} is {image.width}×{image.height}; the model takes "
                f"{layout.width}×{layout.height} (width×height).",
                hint=f"Resize it first: image.resize(({layout.width}, {layout.height})).",
                field=spec.name,
            )
    pixels = np.asarray(_in_mode(image, wanted, spec.name))
    if layout.channels and pixels.ndim == 2:
        pixels = pixels[:, :, np.newaxis]
    return np.moveaxis(pixels, -1, 0) if layout.channels and layout.first else pixels


def _in_mode(image: Image, wanted: str, name: str) -> Image:
    """The image in another of PIL's modes, where that loses nothing."""
    mode = image.mode
    if mode == wanted:
        return image
    if mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
        mode = image.mode
    opaque = mode in ("RGBA", "LA") and image.getchannel("A").getextrema() == (255, 255)
    kept = {"L": {"1"}, "RGB": {"1", "L", "RGB"}, "RGBA": {"1", "L", "LA", "RGB", "RGBA"}}[wanted]
    more = {"L": {"LA"}, "RGB": {"LA", "RGBA"}, "RGBA": set()}[wanted] if opaque else set()
    if mode in kept | more:
        return image.convert(wanted)
    raise InvalidInputError(
        f"The image for the input {name!r} has the mode {image.mode}; the model takes {wanted}.",
        hint=f'Convert it first: image.convert("{wanted}").',
        field=name,
    )
