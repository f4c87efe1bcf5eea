"""The words for types of layers, in the course's French, in English and in torch's own spelling."""

from __future__ import annotations

import difflib
import re
import unicodedata
from typing import Literal

from core.networks.layer_table import Layer

_WORDS: dict[str, frozenset[str]] = {
    kind: frozenset(words.replace("\n", "").split("|"))
    for kind, words in {
        "convolution": """
convolution|conv|convolutive|convolutif|convolutionnelle|convolutional|convolution 2d|
couche de convolution|couche convolutive|convolution layer|convolutional layer|conv2d|
produit de convolution|filtrage|correlation|cross correlation""",
        "linear": """
lineaire|linear|dense|fc|affine|regression lineaire|linear regression|entierement connectee|
entierement connecte|fully connected|completement connectee|totalement connectee|full connected|
couche lineaire|couche dense|couche entierement connectee|fully connected layer|linear layer|
transformation affine|transformation lineaire|perceptron|dense layer|couche fc|pleinement connectee""",
        "max pooling": """
max pooling|maxpooling|maxpool|max pool|pooling max|pooling|pool|maxpool1d|maxpool2d|maxpool3d|
sous echantillonnage|subsampling|couche de pooling|pooling layer|max pooling layer|
couche de max pooling|couche de pooling max|mise en commun|agregation|downsampling|regroupement|
pooling maximal""",
        "average pooling": """
average pooling|avg pooling|avgpool|avgpool2d|averagepooling|average pool|pooling moyen|pooling|
pool|pooling en moyenne|mean pooling|moyenne|sous echantillonnage|subsampling|couche de pooling|
pooling layer|downsampling|mise en commun|agregation|pooling par moyenne""",
        "flatten": """
aplatissement|flatten|flattening|mise a plat|vectorisation|vectorization|applatissement|
redimensionnement|reshape|couche d aplatissement|couche flatten|flatten layer|linearisation|
deroulement|transformation en vecteur|conversion en vecteur|aplatir|mise en vecteur|etalement""",
        "relu": """
relu|activation|fonction d activation|activation relu|activation function|non linearite|
couche d activation|nonlinearity|non linearity|rectified linear unit|relu activation|fonction relu|
activation layer|couche relu|redresseur|rectifieur|unite lineaire rectifiee|
fonction d activation relu|non lineaire|nonlinear|non linear|non linear layer|max 0 x""",
        "dropout": """
dropout|couche dropout|dropout layer|abandon|decrochage|extinction|dropout2d""",
        "batch norm": """
batch norm|batchnorm|batch normalization|batch normalisation|normalisation par lots|bn|batchnorm1d|
batchnorm2d|batchnorm3d|normalisation par lot|normalisation de lot|norm par lot|norm par lots|
normalisation|couche de normalisation par lots|batch normalization layer|normalisation batch|
normalization""",
    }.items()
}
"""Words without accents and in small letters, by kind; those of `relu` serve every activation."""

_ACTIVATIONS = {
    "leakyrelu": "leaky ?relu",
    "relu6": "relu ?6",
    "sigmoid": "sigmoides?|sigmoid|logistique|logistic|fonction logistique",
    "tanh": "tanh|tangente hyperbolique|hyperbolic tangent",
    "gelu": "gelu",
    "elu": "elu",
    "selu": "selu",
    "silu": "silu|swish",
    "prelu": "prelu",
    "softmax": "softmax",
    "logsoftmax": "log ?softmax",
    "softplus": "softplus",
    "hardtanh": "hard ?tanh",
}
"""Other activations than ReLU: patterns of their names, by torch's."""
_MEANINGS = {
    "max": "max|maximum|maximal",
    "min": "min|minimum",
    "avg": "avg|average|mean|moyen|moyenne",
    "global": "global|adapt",
    "transposed": "transpos|deconv|inverse",
    "unfolding": "un(?:pool|flatten)|de ?pool",
    "1d": "[a-z]* ?1 ?d\\b",
    "3d": "[a-z]* ?3 ?d\\b",
}
"""What some words mean that a layer of another type has, by the part of torch's name that means the same."""
_OTHER_LAYERS = frozenset(
    ("deconvolution", "bilineaire", "bilinear", "unflatten", "unpooling", "upsampling", "identity")
)
_NEGATED = re.compile(r"^(?:no|ni|aucune?|sans|without)\b|\b(?:pas|not)\b")
_GENERIC = frozenset(
    (
        *("couche", "layer", "line", "filtre", "filter", "couche de sortie", "couche cachee", "output layer"),
        *("hidden layer", "sortie", "entree", "neurones", "fonction", "couche d entree"),
    )
)
"""Words that name no type."""
_OF_RELU_ALONE = ("relu", "rectified", "redresseur", "rectifi", "max 0 x")
_LIKENESS = 0.75


def rightness(layer: Layer, text: str) -> Literal["right", "form", "wrong"]:
    """Return whether a text names a layer's type: in usual words, misspelt, or not."""
    words, own = _normal(text), _words_for(layer)
    if words in own:
        return "right"
    if _NEGATED.search(words) or words in _GENERIC or _contradicts(words, layer) or words in _OTHER_LAYERS:
        return "wrong"
    known = own.union(*_WORDS.values())
    contained = _contained(words, known)
    if contained:
        return "right" if all(word in own for word in contained) else "wrong"
    close = difflib.get_close_matches(words, known | _OTHER_LAYERS, n=1, cutoff=_LIKENESS)
    return "form" if close and close[0] in own else "wrong"


def _contained(text: str, known: frozenset[str]) -> list[str]:
    """Return the known words in a text, the longest first; what is part of a longer one does not count."""
    found = []
    for word in sorted(known, key=lambda word: (-len(word), word)):
        pattern = rf"\b{re.escape(word)}\b"
        if len(word) > 2 and re.search(pattern, text):
            found.append(word)
            text = re.sub(pattern, "|", text)
    return found


def _contradicts(words: str, layer: Layer) -> bool:
    """Tell if a text has a word that makes another layer of it: `transposed`, or `average` for a max pooling."""
    name = layer.type.lower()
    own = {"avg" if "avg" in name else "max", name[-2:], "global" if "adaptive" in name else ""}
    said = {meaning for meaning, pattern in _MEANINGS.items() if re.search(rf"\b(?:{pattern})", words)}
    if _kind(layer) == "relu":
        said |= {
            other
            for other, pattern in _ACTIVATIONS.items()
            if other != name and re.search(rf"\b(?:{pattern})\b", words)
        }
    return bool(said - own)


def named_kind(text: str) -> str:
    """Return the kind of layer that a text names in usual words; empty if it names none, or several."""
    words = _normal(text)
    kinds = [kind for kind, known in _WORDS.items() if words in known]
    return kinds[0] if len(kinds) == 1 else ""


def has_words(text: str) -> bool:
    """Tell if a text has anything that could be a word."""
    return re.search(r"[a-z]{2}", _normal(text)) is not None


def _kind(layer: Layer) -> str:
    name = layer.type.lower()
    return "relu" if name == "relu" or name in _ACTIVATIONS else layer.kind.text


def _words_for(layer: Layer) -> frozenset[str]:
    """Return the words for a layer's type; those for a kind that the course does not have are torch's own."""
    name = layer.type.lower()
    known = _WORDS.get(_kind(layer), frozenset((_normal(str(layer.kind)),)))
    if name in _ACTIVATIONS:
        names = [name, *(word.replace(" ?", " ").replace("?", "") for word in _ACTIVATIONS[name].split("|"))]
        known = frozenset(word for word in known if not any(own in word for own in _OF_RELU_ALONE))
        known |= {*names, *(f"{prefix} {each}" for each in names for prefix in ("activation", "fonction"))}
    return known | {name}


def without_accents(text: str) -> str:
    """Return a text without accents."""
    bare = unicodedata.normalize("NFKD", text.replace("œ", "oe"))
    return "".join(char for char in bare if not unicodedata.combining(char))


def _normal(text: str) -> str:
    """Return a text in small letters without accents, and with single spaces for all that is no letter or digit."""
    words = re.sub(r"[^a-z0-9]+", " ", re.sub(r"\bnn\.", "", without_accents(text.lower()))).strip()
    return re.sub(r"^(?:une?|la|le|l|a|the) ", "", words)
