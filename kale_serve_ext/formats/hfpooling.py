"""Makes a text's vector of those of its tokens, by the steps of :mod:`~kale_serve_ext.formats.hfvectors`, in torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .hfvectors import Dense, Pooling, Step, Vectors

if TYPE_CHECKING:
    import torch

_LEAST = 1e-9
_SHORTEST = 1e-12
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")

Layer = Callable[["torch.Tensor"], "torch.Tensor"]


class Pooled:
    """The steps, ready to be taken.

    Args:
        folder: the model's, with the weights of its dense layers; None where there are none.
        device: where the model is.

    Raises:
        RuntimeError: the weights of a layer are missing, or others than it says.
    """

    def __init__(self, vectors: Vectors, folder: Path | None, device: torch.device | str) -> None:
        self._modes = [mode for step in vectors.steps if isinstance(step, Pooling) for mode in step.modes]
        self._layers = [_layer(step, folder, device) for step in vectors.steps if not isinstance(step, Pooling)]

    def __call__(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """A row for each text.

        Args:
            tokens: vectors of (text, token, number).
            mask: 1 for each token that is none of padding, of (text, token).
        """
        import torch

        vectors = torch.cat([_pooled(mode, tokens, mask) for mode in self._modes], dim=1)
        for layer in self._layers:
            vectors = layer(vectors)
        return vectors


def _pooled(mode: str, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    import torch

    wide = mask.unsqueeze(-1).to(tokens.dtype)
    if mode == "mean":
        return (tokens * wide).sum(1) / wide.sum(1).clamp(min=_LEAST)
    if mode == "max":
        return tokens.masked_fill(wide == 0, -torch.inf).amax(1)
    places = torch.arange(mask.shape[1], device=mask.device)
    # Padding may stand before a text too.
    first, last = (places + mask.shape[1] * (mask == 0)).argmin(1), (places * mask).argmax(1)
    return tokens[torch.arange(len(tokens), device=tokens.device), first if mode == "cls" else last]


def _layer(step: Step, folder: Path | None, device: torch.device | str) -> Layer:
    import torch

    if not isinstance(step, Dense):
        return lambda vectors: vectors / vectors.norm(dim=1, keepdim=True).clamp(min=_SHORTEST)
    if folder is None:
        raise RuntimeError("There is no folder with the weights of the dense layer.")
    weights = {name: values.to(device).float() for name, values in _weights(folder / step.folder).items()}
    weight, bias = weights.get("linear.weight"), weights.get("linear.bias")
    if weight is None or weight.shape[0] != step.size:
        raise RuntimeError(f"The weights in {step.folder} are not those of a layer with {step.size} numbers.")
    activation: torch.nn.Module = getattr(torch.nn, step.activation)()

    def dense(vectors: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = activation(torch.nn.functional.linear(vectors, weight, bias))
        return found

    return dense


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    import torch

    safe, pickled = (folder / name for name in _WEIGHTS)
    if safe.is_file():
        from safetensors.torch import load_file

        return dict(load_file(safe))
    found: dict[str, torch.Tensor] = torch.load(pickled, map_location="cpu", weights_only=True)
    return found
