"""The words for types of layers, in the course's French, in English and in torch's own spelling."""

from __future__ import annotations

import difflib
import re
import unicodedata
from typing import Literal

from core.networks.layer_table import Layer

_WORDS: dict[str, tuple[str, ...]] = {
    "convolution": (
        *("convolution", "conv", "convolutive", "convolutif", "convolutionnelle", "convolutional", "convolution 2d"),
        *("couche de convolution", "couche convolutive", "convolution layer", "convolutional layer"),
        *("conv1d", "conv2d", "conv3d", "produit de convolution", "filtrage", "correlation", "cross correlation"),
    ),
    "linear": (
        *("lineaire", "linear", "dense", "fc", "affine", "regression lineaire", "linear regression"),
        *(
            "entierement connectee",
            "fully connected",
            "completement connectee",
            "totalement connectee",
            "full connected",
        ),
        *("couche lineaire", "couche dense", "couche entierement connectee", "fully connected layer", "linear layer"),
        *(
            "transformation affine",
            "transformation lineaire",
            "perceptron",
            "dense layer",
            "couche fc",
            "pleinement connectee",
        ),
    ),
    "max pooling": (
        *(
            "max pooling",
            "maxpooling",
            "maxpool",
            "max pool",
            "pooling max",
            "pooling",
            "pool",
            "maxpool1d",
            "maxpool2d",
        ),
        *(
            "maxpool3d",
            "sous echantillonnage",
            "subsampling",
            "couche de pooling",
            "pooling layer",
            "max pooling layer",
        ),
        *("couche de max pooling", "mise en commun", "agregation", "downsampling", "regroupement", "pooling maximal"),
    ),
    "average pooling": (
        *("average pooling", "avg pooling", "avgpool", "avgpool2d", "averagepooling", "average pool", "pooling moyen"),
        *("pooling", "pool", "pooling en moyenne", "mean pooling", "moyenne", "sous echantillonnage", "subsampling"),
        *("couche de pooling", "pooling layer", "downsampling", "mise en commun", "agregation", "pooling par moyenne"),
    ),
    "flatten": (
        *("aplatissement", "flatten", "flattening", "mise a plat", "vectorisation", "vectorization", "applatissement"),
        *("redimensionnement", "reshape", "couche d aplatissement", "couche flatten", "flatten layer", "linearisation"),
        *("deroulement", "transformation en vecteur", "conversion en vecteur"),
    ),
    "relu": (
        *("relu", "activation", "fonction d activation", "activation relu", "activation function", "non linearite"),
        *("couche d activation", "nonlinearity", "non linearity", "rectified linear unit", "relu activation"),
        *("fonction relu", "activation layer", "couche relu", "redresseur", "rectifieur", "unite lineaire rectifiee"),
        *("fonction d activation relu", "non lineaire", "nonlinear"),
    ),
    "dropout": ("dropout", "couche dropout", "dropout layer", "abandon", "decrochage", "extinction", "dropout2d"),
    "batch norm": (
        *("batch norm", "batchnorm", "batch normalization", "batch normalisation", "normalisation par lots", "bn"),
        *(
            "batchnorm1d",
            "batchnorm2d",
            "batchnorm3d",
            "normalisation par lot",
            "normalisation de lot",
            "norm par lot",
            "norm par lots",
            "normalisation",
        ),
        *("couche de normalisation par lots", "batch normalization layer", "normalisation batch", "normalization"),
    ),
}
"""Words without accents and in small letters, by kind; those of `relu` serve every activation."""

_ACTIVATIONS = frozenset(("relu", "leakyrelu", "relu6", "sigmoid", "tanh", "gelu", "elu", "selu", "silu", "prelu"))
_OF_RELU_ALONE = ("relu", "rectified", "redresseur", "rectifi")
_LIKENESS = 0.75


def rightness(layer: Layer, text: str) -> Literal["right", "form", "wrong"]:
    """Return whether a text names a layer's type: in usual words, misspelt, or not."""
    words, own = _normal(text), _words_for(layer)
    if words in own:
        return "right"
    known = own.union(*_WORDS.values())
    if words in known:
        return "wrong"
    contained = [word for word in known if len(word) > 2 and re.search(rf"\b{re.escape(word)}\b", words)]
    if contained:
        longest = max(map(len, contained))
        return "right" if any(word in own for word in contained if len(word) == longest) else "wrong"
    close = difflib.get_close_matches(words, known, n=1, cutoff=_LIKENESS)
    return "form" if close and close[0] in own else "wrong"


def named_kind(text: str) -> str:
    """Return the kind of layer that a text names in usual words; empty if it names none, or several."""
    words = _normal(text)
    kinds = [kind for kind, known in _WORDS.items() if words in known]
    return kinds[0] if len(kinds) == 1 else ""


def has_words(text: str) -> bool:
    """Tell if a text has anything that could be a word."""
    return re.search(r"[a-z]{2}", _normal(text)) is not None


def _words_for(layer: Layer) -> frozenset[str]:
    """Return the words for a layer's type; those for a kind that the course does not have are torch's own."""
    name = layer.type.lower()
    if name not in _ACTIVATIONS:
        known = _WORDS.get(layer.kind.text, (_normal(str(layer.kind)),))
        return frozenset((*known, name))
    words = _WORDS["relu"]
    if name != "relu":
        words = tuple(word for word in words if not any(own in word for own in _OF_RELU_ALONE))
    return frozenset((*words, name, *(f"{prefix} {name}" for prefix in ("activation", "fonction"))))


def without_accents(text: str) -> str:
    """Return a text without accents."""
    bare = unicodedata.normalize("NFKD", text.replace("œ", "oe"))
    return "".join(char for char in bare if not unicodedata.combining(char))


def _normal(text: str) -> str:
    """Return a text in small letters without accents, and with single spaces for all that is no letter or digit."""
    words = re.sub(r"[^a-z0-9]+", " ", re.sub(r"\bnn\.", "", without_accents(text.lower()))).strip()
    return re.sub(r"^(?:une?|la|le|l|a|the) ", "", words)
