"""Multiply–accumulates: the arithmetic that a network needs per image, whatever the machine."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from core.networks.two_batches import LARGE, SMALL, on_two_batches

_MATRIX_PRODUCTS = {"mm", "bmm", "addmm", "baddbmm", "addbmm", "mv", "addmv", "dot", "vdot"}
_SUMS = {"sum", "nansum", "cumsum", "trace", "index_add", "scatter_add", "scatter_reduce"}
_NORMS = {"norm", "linalg_vector_norm"}
_REARRANGING = {
    *("cat", "stack", "clone", "copy", "_to_copy", "_unsafe_view", "transpose", "t", "squeeze", "unsqueeze"),
    *("as_strided", "index", "index_select", "index_put", "repeat", "constant_pad_nd", "where", "masked_fill"),
}

# What sums no products of its inputs, beside the above, views, and what torch itself tags as elementwise.
# Normalisation, pooling and interpolation count as none, as is usual.
_OTHERS = """
    rsub abs eq ne lt le gt ge floor_divide threshold gelu mish glu hardswish _prelu_kernel complex polar
    log_sigmoid_forward rrelu_with_noise rrelu_with_noise_functional _thnn_fused_lstm_cell _thnn_fused_gru_cell
    _local_scalar_dense lift resize set split unsafe_split unsafe_split_with_sizes
    repeat_interleave roll flip rot90 tril triu tril_indices triu_indices diag_embed block_diag
    pixel_shuffle pixel_unshuffle channel_shuffle native_channel_shuffle im2col col2im
    reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d replication_pad3d
    _unsafe_index _index_put_impl index_copy index_fill gather scatter take put
    masked_select masked_scatter select_scatter slice_scatter diagonal_scatter embedding nonzero _pack_padded_sequence
    searchsorted bucketize isin allclose _assert_async _assert_tensor_metadata
    zeros zeros_like new_zeros ones ones_like new_ones full full_like new_full empty empty_like new_empty
    new_empty_strided empty_strided scalar_tensor arange range linspace logspace eye fill zero
    rand rand_like randn randn_like randint randint_like random randperm bernoulli uniform normal log_normal exponential
    multinomial native_dropout
    amax amin aminmax max min argmax argmin all any mean prod logsumexp median nanmedian mode var std var_mean std_mean
    cumprod cummax cummin _cummax_helper _cummin_helper logcumsumexp _logcumsumexp sort topk kthvalue
    _unique _unique2 unique_dim unique_consecutive count_nonzero histc bincount
    _softmax _log_softmax _safe_softmax _masked_softmax
    native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training cudnn_batch_norm
    native_layer_norm native_group_norm _fused_rms_norm _weight_norm_interface renorm
    avg_pool1d avg_pool2d avg_pool3d max_pool2d_with_indices max_pool3d_with_indices max_unpool2d max_unpool3d
    _adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_max_pool2d adaptive_max_pool3d
    fractional_max_pool2d fractional_max_pool3d affine_grid_generator grid_sampler_2d grid_sampler_3d
    upsample_nearest1d upsample_nearest2d upsample_nearest3d
    _upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d
    upsample_linear1d upsample_bilinear2d upsample_trilinear3d upsample_bicubic2d
    _upsample_bilinear2d_aa _upsample_bicubic2d_aa
"""
_WITHOUT_PRODUCTS = _SUMS | _NORMS | _REARRANGING | set(_OTHERS.split())


def macs_per_image(network: nn.Module) -> int | None:
    """Return the multiply–accumulates that the forward pass needs for each image, or None if they are not known.

    They are those of matrix products, convolutions (the padding's zeros included) and attention, and those written as
    an elementwise product and its sum. Elementwise operations alone, normalisation, pooling and interpolation count as
    none, as is usual; a product of complex numbers counts as four. What a pass does once for all its images, such as
    weights computed from others, is no image's. They are not known if the network does what torch cannot trace or what
    is not known here, sums in another way what it has paired by hand, or if they do not grow in proportion to the
    images. Neither the network nor the generator's state changes.
    """
    with on_two_batches(network) as (stand_in, small, large):
        try:
            once, twice = _counted(stand_in, small), _counted(stand_in, large)
        except Exception:  # a custom network may do things that torch cannot trace
            return None
    each, rest = divmod(twice.macs - once.macs, LARGE - SMALL)
    if rest or not 0 <= SMALL * each <= once.macs or once.unknown != twice.unknown:
        return None
    return each


def _counted(network: nn.Module, images: torch.Tensor) -> _Counter:
    counter = _Counter()
    with counter:
        network(images)
    return counter


class _Origin(NamedTuple):
    """The origin of an array, followed until a sum turns it into a product of matrices."""

    array: torch.Tensor
    """The array, kept so that no other gets its storage."""
    products: bool
    """True if its elements are products of two numbers."""
    pairs: bool
    """True if it comes from pairing the elements of two smaller arrays, as in `x[:, None] - centres`."""


class _Counter(TorchDispatchMode):
    """A counter of the multiply–accumulates of the operations that run under it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.macs = 0
        self.unknown: Counter[tuple[object, ...]] = Counter()
        """Operations whose number is not known, with the shapes that they are given."""
        self._origins: dict[int, _Origin] = {}
        """Origin of each storage, which views share."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Keep torch's compiler, which has nothing to do here, from being loaded: that takes seconds of every run."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if func.is_view:
            return output
        name = func.overloadpacket.__name__.rstrip("_")  # without the mark of what works in place
        arrays = [each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor) and each.numel() > 1]
        elementwise = torch.Tag.pointwise in func.tags
        macs = _macs(name, args, output)
        if macs is None and (elementwise or (func.namespace == "aten" and name in _WITHOUT_PRODUCTS)):
            macs = self._macs_of_sum(name, arrays)
            if isinstance(output, torch.Tensor) and output.numel():
                if name == "pow" and isinstance(args[1], int | float) and args[1] == 2:
                    name, arrays = "mul", arrays * 2
                self._follow(name, arrays, output, elementwise=elementwise)
        if macs is None:
            self.unknown[name, *(array.shape for array in arrays)] += 1
        else:
            self.macs += macs
        return output

    def _macs_of_sum(self, name: str, arrays: list[torch.Tensor]) -> int | None:
        """Return those that a sum of elementwise products completes, or None if it sums what pairs have become."""
        followed = [(array, origin) for array in arrays if (origin := self._origins.get(_storage(array)))]
        if name in _SUMS or name == "mean":  # a mean of what is no pairs is pooling
            summed = [array for array, origin in followed if origin.products and (origin.pairs or name != "mean")]
            if summed:
                return sum(array.numel() for array in summed)
        if name == "addcmul" and len(arrays) == 3 and arrays[0].numel() > max(array.numel() for array in arrays[1:]):
            return None  # it sums pairs at once
        accumulates = name in ("add", "sub", "rsub") and len({array.numel() for array in arrays}) < len(arrays)
        if (accumulates or name in _SUMS | _NORMS) and any(origin.pairs for _array, origin in followed):
            return None
        return 0

    def _follow(self, name: str, arrays: list[torch.Tensor], output: torch.Tensor, *, elementwise: bool) -> None:
        """Note where the output of an operation comes from."""
        followed = [(array, origin) for array in arrays if (origin := self._origins.get(_storage(array)))]
        kept = name in _REARRANGING or (name in ("mul", "div", "neg") and len(arrays) == 1)
        products = (name == "mul" and len(arrays) == 2) or (kept and any(each.products for _array, each in followed))
        larger = output.numel() > max((array.numel() for array in arrays), default=0)
        pairs = (larger and name in ("mul", "div", "sub", "rsub")) or any(
            origin.pairs and (kept or (elementwise and array.numel() == output.numel())) for array, origin in followed
        )
        if products or pairs:
            self._origins[_storage(output)] = _Origin(output, products, pairs)
        else:
            self._origins.pop(_storage(output), None)


def _storage(array: torch.Tensor) -> int:
    return array.untyped_storage().data_ptr()


def _macs(name: str, args: Any, output: Any) -> int | None:
    """Return the multiply–accumulates of an operation that is one or more products, else None."""
    if name in _MATRIX_PRODUCTS:
        first, second = [each for each in args if isinstance(each, torch.Tensor)][-2:]
        columns = second.shape[-1] if second.dim() > 1 else 1
        return int(first.numel() * columns) * (4 if output.is_complex() else 1)
    if name in ("convolution", "_convolution"):
        images, weight, transposed = args[0], args[1], args[6]
        slid_over = images if transposed else output
        return int(weight.numel() * len(slid_over) * math.prod(slid_over.shape[2:]))
    if name.startswith("_scaled_dot_product_"):
        query, keys = args[:2]
        return int((query.numel() + output[0].numel()) * keys.shape[-2])
    if name == "mkldnn_rnn_layer":  # one direction of one recurrent layer; its input: steps, images, features
        steps, of_input, of_state = args[:3]
        return int(steps[..., 0].numel() * (of_input.numel() + of_state.numel()))
    if name == "_trilinear":  # x·W·y: each of W's matrices times x, and the results times y
        first, weight, _second = args[:3]
        outputs, rows, columns = weight.shape
        return int(len(first) * outputs * columns * (rows + 1))
    return None
