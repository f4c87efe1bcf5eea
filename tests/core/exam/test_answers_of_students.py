"""Answers as students write them, each marked alone: what is right in any usual way, and what is not."""

from __future__ import annotations

import pytest

from core.exam.marking import mark_sheet
from core.exam.sheet import Answers, Column, Mark
from core.networks.kept_tables import built_in
from core.networks.layer_table import LayerTable

_Cell = tuple[str, str, Column]

# fmt: off
RIGHT: dict[_Cell, tuple[str, ...]] = {
    ("RN_2", "conv1", "type"): (
        "convolution", "Convolution", "CONVOLUTION", "conv", "Conv2d", "conv2d", "nn.Conv2d", "convolution 2D",
        "Convolution 2d", "couche de convolution", "Couche convolutive", "convolutive",
        "couche convolutionnelle", "convolutional layer", "convolutional", "Conv", "conv.", "Convolution (2D)",
        "torch.nn.Conv2d", "nn.Conv2d(1, 32, 3, padding=1)", "covolution", "convolutoin", "2D convolution",
        "filtrage par convolution", "convolution layer", "Conv 2D", "conv-2d", "couche de convolution 2D",
    ),
    ("RN_2", "pool1", "type"): (
        "max pooling", "Max Pooling", "maxpooling", "max-pooling", "MaxPool2d", "maxpool", "MaxPool",
        "nn.MaxPool2d", "pooling", "max pool", "Pooling (max)", "sous-échantillonnage",
        "sous-échantillonnage par maximum", "pooling max", "max-pool 2x2", "couche de pooling",
        "regroupement par maximum", "agrégation par max", "mise en commun", "subsampling", "downsampling",
        "max. pooling", "Maxpooling 2D", "agrégation (max)",
    ),
    ("RN_1", "fc1", "type"): (
        "linéaire", "lineaire", "Linear", "nn.Linear", "linear layer", "couche linéaire", "fully connected",
        "fully-connected", "FC", "fc", "dense", "Dense", "couche dense", "entièrement connectée",
        "couche entièrement connectée", "couche complètement connectée", "totalement connectée",
        "régression linéaire", "regression lineaire", "régrenon linéaire", "couché entièrement connecté",
        "affine", "couche affine", "perceptron", "pleinement connectée", "linear regression",
        "transformation linéaire", "combinaison linéaire", "Full connected", "fully conected", "linaire",
        "couche lineaire (dense)", "application affine", "entierement connecté",
    ),
    ("RN_1", "relu1", "type"): (
        "ReLU", "relu", "activation", "Activation ReLU", "fonction d'activation", "fonction d’activation",
        "activation function", "rectified linear unit", "unité linéaire rectifiée", "nn.ReLU", "non-linéarité",
        "non linéarité", "nonlinearity", "rectifier", "Activation (ReLU)", "ReLu", "re lu",
        "couche d'activation", "activation layer", "non linéaire", "redresseur", "fonction ReLU",
    ),
    ("RN_1", "flatten", "type"): (
        "flatten", "Flatten", "aplatissement", "applatissement", "aplatir", "mise à plat", "vectorisation",
        "appartinement", "nn.Flatten", "flattening", "aplatissage", "aplanissement", "reshape",
        "mise en vecteur", "vectorization", "mise à plat de l'image", "flaten", "applanissement",
        "redimensionnement",
    ),
    ("RN_2", "conv1", "specification"): (
        "1→32, 3×3, padding 1", "1 -> 32, 3x3, p=1", "1 canal d'entrée, 32 filtres 3x3, padding 1",
        "in=1, out=32, kernel_size=3, padding=1", "(1, 32, kernel_size=3, padding=1)",
        "nn.Conv2d(1, 32, kernel_size=3, padding=1)", "Conv2d(1,32,3,padding=1)",
        "32 filtres 3×3, 1 canal d'entrée, padding = 1, stride = 1",
        "1 input channel, 32 output channels, kernel 3x3, padding 1",
        "Entrée : 1 canal ; Sortie : 32 canaux ; noyau 3x3 ; padding 1",
        "entrée: 1, sortie: 32, noyau: 3, marge: 1", "1 canal en entrée, 32 en sortie, noyau 3, remplissage 1",
        "1→32, 3x3", "32 filtres 3×3", "1, 32, 3, 1", "1→32 k3 p1", "1→32, 3×3, s1, p1",
        "32 filters of 3x3 with padding 1 on 1 channel", "noyau 3*3, padding 1, 32 filtres",
        "kernel_size=(3,3), in_channels=1, out_channels=32, padding=(1,1)",
        "one input channel, 32 filters 3x3, padding 1", "un canal d'entrée, 32 filtres, noyau 3x3, padding=1",
    ),
    ("RN_2", "conv2", "specification"): (
        "32→64, 3×3, padding 1", "Entrée: 32 ; Sortie: 64 filtres 3x3",
        "64 filtres 3×3 sur 32 canaux, padding 1", "entrée 32 canaux, sortie 64 canaux, filtre 3x3, padding 1",
        "in_channels=32, out_channels=64, kernel_size=3, padding=1",
        "sortie: 64, entrée: 32, noyau 3x3, padding 1", "64 filtres 3×3, 32 canaux d'entrée, padding 1",
    ),
    ("RN_2", "pool1", "specification"): (
        "2×2, stride 2", "2x2", "fenêtre 2×2, pas 2", "kernel_size=2, stride=2", "kernel 2, stride 2", "(2,2)",
        "nn.MaxPool2d(2, 2)", "taille 2×2, pas de 2", "2*2 pas=2", "window 2x2 stride 2",
        "MaxPool2d(kernel_size=2, stride=2)", "noyau 2, stride 2", "fenêtre de 2x2", "2, 2", "k=2 s=2",
        "max sur des blocs 2×2", "2",
    ),
    ("RN_1", "fc1", "specification"): (
        "784→512", "784 -> 512", "28×28→512", "in_features=784, out_features=512", "nn.Linear(28 * 28, 512)",
        "Entrée: Image 28x28 Sortie: 512 neurones", "entrée 784, sortie 512", "784 entrées, 512 sorties",
        "784 inputs, 512 outputs", "(784, 512)", "784, 512", "512 neurones", "512 neurones, 784 entrées",
        "de 784 à 512", "from 784 to 512", "784 => 512", "784 ⟶ 512", "784 vers 512", "input 784 output 512",
        "Entrée : 28*28=784 ; Sortie : 512", "784 to 512", "Linear(784,512)",
        "784 neurones en entrée et 512 en sortie", "512 sorties",
        "Linear(in_features=784, out_features=512, bias=True)",
    ),
    ("RN_2", "fc1", "specification"): (
        "3136→128", "64×7×7→128", "nn.Linear(64 * 7 * 7, 128)", "entrée 3136, sortie 128", "64*7*7 → 128",
        "3 136→128", "3,136→128",
    ),
    ("RN_1", "fc4", "specification"): (
        "128→10", "Entrée: 128 neurones Sortie: 10 classes", "128 entrées → 10 classes",
        "10 classes, 128 entrées",
    ),
    ("RN_2", "conv1", "output"): (
        "32×28×28", "32x28x28", "(32,28,28)", "(32, 28, 28)", "[32, 28, 28]", "32 28 28", "28 28 32",
        "28×28×32", "(28,28,32)", "(N,32,28,28)", "N×32×28×28", "(batch, 32, 28, 28)", "32*28*28", "32·28·28",
        "32 ✕ 28 ✕ 28", "32 cartes 28x28", "32 canaux de 28×28", "32 × (28 × 28)", "32 images de taille 28x28",
        "(-1, 32, 28, 28)", "32x28²", "32,28,28", "32;28;28", "torch.Size([32, 28, 28])", "32 @ 28×28",
        "32@28x28", "32×28×28 = 25088", "32 feature maps of 28x28", "64×32×28×28", "(64, 32, 28, 28)",
        "３２×２８×２８", "32 matrices 28 x 28", "28x28x32 = 25 088", "32X28X28", "32 X 28 X 28", "(B, 32, 28, 28)",
        "[batch_size, 32, 28, 28]", "32 par 28 par 28", "32 by 28 by 28", "28x28 (32 canaux)", "(28x28)x32",
        "C=32, H=28, W=28", "H=28 W=28 C=32", "25088",
    ),
    ("RN_1", "flatten", "output"): (
        "784", "28×28", "28*28", "28×28 = 784", "1×784", "(784,)", "(1, 784)", "784 neurones", "N×784",
        "(N, 784)", "(batch, 784)", "28²", "784.", "1×28×28", "784 valeurs", "vecteur de taille 784",
        "28^2 = 784", "28x28=784", "R^784", "ℝ⁷⁸⁴", "[64, 784]", "64×784", "784x1", "(784)", "784 pixels",
    ),
    ("RN_1", "fc1", "output"): (
        "512", "512 neurones", "(512,)", "1×512", "N×512", "(N,512)", "512 sorties", "[512]", "512 neurons",
        "batch×512", "512x1", "vecteur de 512", "ℝ^512", "R^512", "(64,512)",
    ),
    ("RN_2", "flatten", "output"): (
        "3136", "3 136", "3,136", "3.136", "3136 neurones", "64×7×7", "64×7×7 = 3136", "64*49", "64×49=3136",
        "7x7x64 = 3136", "(3136)", "N×3136", "3'136", "3_136", "64x7²", "3\u202f136", "3\u00a0136",
    ),
    ("RN_2", "conv2", "parameters"): (
        "18496", "18 496", "18,496", "18.496", "18'496", "18\u202f496", "32×64×3×3+64", "32x64x3x3 + 64",
        "32·64·3·3+64 = 18 496", "64×(32×3×3+1)", "64(32*9+1)", "64*289", "(3*3*32+1)*64", "3²×32×64+64",
        "3^2*32*64+64", "3**2*32*64+64", "18432+64", "18432 + 64 = 18496", "18496 = 32*64*9+64",
        "32*64*9+64=18432+64=18496", "32×64×3×3 + 64 biais", "32×64×9 (poids) + 64 (biais)", "64 + 18432",
        "(32×64×3×3)+64", "[32×64×3×3]+64", "32 × 64 × 3 × 3 + 64 = 18 496 paramètres", "18496 params",
        "18496.", "=18496", "= 32×64×3×3+64", "18 432 + 64", "64 + 64×32×3×3", "18496 (32×64×3×3+64)",
        "32×64×3×3+64 → 18496", "32x64x(3x3)+64", "64x32x3x3+64", "total : 18496", "32*64*3*3 + 1*64",
        "18432 poids + 64 biais", "18432 weights and 64 biases", "3x3x32x64 + 64", "18496 !",
        "64 × 3 × 3 × 32 ＋ 64", "１８４９６", "288x64=18432+64=18496",
    ),
    ("RN_1", "relu1", "parameters"): (
        "0", "-", "–", "—", "aucun", "none", "None", "Ø", "∅", "/", "rien", "0 paramètre", "pas de paramètre",
        "no parameters", "zero", "zéro", "n/a", "N/A", "0 = 0",
    ),
    ("RN_1", "relu1", "specification"): (
        "-", "–", "aucune", "none", "rien", "ReLU", "x ↦ max(0, x)", "f(x)=max(0,x)", "512", "0", "nn.ReLU()",
        "N/A", "inplace=False",
    ),
    ("RN_2", "flatten", "specification"): (
        "-", "64×7×7→3136", "aucune", "64×7×7 = 3136", "3136",
    ),
}
"""Answers that are right, maybe but for the form."""
WRONG: dict[_Cell, tuple[str, ...]] = {
    ("RN_2", "conv1", "type"): (
        "max pooling", "linear", "relu", "flatten", "pooling", "activation", "convolution transposée",
        "ConvTranspose2d", "deconvolution", "pas de convolution", "not a convolution",
        "convolution ou linéaire", "linear convolution relu flatten pooling", "batch normalization", "dropout",
    ),
    ("RN_2", "pool1", "type"): (
        "average pooling", "avg pool", "pooling moyen", "AvgPool2d", "mean pooling", "convolution",
        "min pooling", "AdaptiveMaxPool2d", "max", "global max pooling",
    ),
    ("RN_1", "fc1", "type"): (
        "convolution", "relu", "régression logistique", "logistic regression", "flatten", "non linéaire",
        "non-linear", "bilinéaire", "Bilinear", "non linear layer", "activation", "sortie",
    ),
    ("RN_1", "relu1", "type"): (
        "sigmoid", "tanh", "linear", "convolution", "softmax", "LeakyReLU", "leaky relu", "GELU", "flatten",
        "PReLU", "activation sigmoïde", "activation tanh", "activation linéaire",
    ),
    ("RN_1", "flatten", "type"): (
        "linear", "unflatten", "pooling", "concaténation", "dropout", "Unflatten", "convolution",
    ),
    ("RN_2", "conv1", "specification"): (
        "1→32, 5×5, padding 1", "1→64, 3×3, padding 1", "1→32, 3×3, padding 0", "32→1, 3×3, padding 1",
        "1→32, 3×3, padding 2", "1→32, 3×3, stride 2, padding 1", "3→32, 3×3, padding 1", "2×2, stride 2", "28",
        "1→32, 3×3, sans padding", "1→32, 3×3, no padding", "1→32, 3×3, dilation 2, padding 1",
        "1→32, 3×5, padding 1", "32 canaux d'entrée, 1 filtre 3x3 padding 1", "1→32, 3×3, groups 2, padding 1",
        "1→32, 3×3, padding 1, bias=False",
    ),
    ("RN_2", "conv2", "specification"): (
        "64→32, 3×3, padding 1", "entrée: 64, sortie: 32, 3x3, padding 1", "32→64, 2×2, padding 1",
        "32→46, 3×3, padding 1", "1→64, 3x3, padding 1",
    ),
    ("RN_2", "pool1", "specification"): (
        "3×3, stride 2", "2×2, stride 1", "2×2, stride 3", "2×3", "2×2, stride 2, padding 1", "32→64", "4×4",
        "pas 1, 2x2",
    ),
    ("RN_1", "fc1", "specification"): (
        "512→784", "784→572", "Entrée: Image 28x28 Sortie: 572 neurones", "28→512", "784→256", "748→512",
        "sortie 784, entrée 512", "784", "784→512, bias=False", "784→512 sans biais", "512×784 padding 3",
    ),
    ("RN_2", "fc1", "specification"): (
        "64→128", "64×14×14→128", "Entrée: 64 neurones d'image réduite à 10 classes Sortie: 128", "49→128",
        "3136→10",
    ),
    ("RN_2", "conv1", "output"): (
        "32", "28×28", "32×26×26", "28", "32×28", "32×28×26", "1×28×28", "64×28×28", "28×32×28", "32×14×14",
        "32+28+28", "32×28×28×28", "32/28/28", "32x28x28 ou 32x26x26", "32x26x26 32x28x28", "−32×28×28",
        "32.28.28",
    ),
    ("RN_1", "flatten", "output"): (
        "28", "512", "28+28", "56", "748", "28×28 = 748", "1", "784784", "0784x2", "-784", "7840",
    ),
    ("RN_1", "fc1", "output"): (
        "572", "784", "256", "512×512", "784×512", "5 12", "51 2", "512512", "521",
    ),
    ("RN_2", "flatten", "output"): (
        "64", "49", "6272", "64×14×14", "12544", "3163", "64×7×7 = 3163", "784",
    ),
    ("RN_2", "conv2", "parameters"): (
        "18432", "320", "32×64×3×3", "32x64x3x3+64 = 320", "64×3×3+64", "32×64×3+64", "32+64+3+3", "18496+1",
        "184960", "1849", "18 496 000", "0", "-18496", "18496-64", "32×64×3×3+64=18495", "18496/2", "2^14",
        "about 18000", "18496 or 18432", "18432 18496", "18 49 6", "1 8 4 9 6", "18,49,6", "18.49.6",
        "32×64×3×3+64+", "32x64x3x3+64=18496=320", "18496 ou 18432", "1e99", "inf", "nan", "18496x0",
        "18496 - 0 + 1",
    ),
    ("RN_1", "relu1", "parameters"): (
        "1", "512", "00001", "10", "262656",
    ),
}
"""Answers that are wrong, or that nobody can read."""
HOSTILE = (
    "(" * 300, ")" * 300, "(" * 21 + "1" + ")" * 21, "1+" * 140 + "1", "2^6^6^6", "((((9^6)^6)^6)^6)^6", "1/0",
    "1/(1-1)", "(1+1)^6*(1+1)^6", "999999999999^6*999999999999^6", "1e99999", "٧٨٤", "⁷⁸⁴", "½",
    "Ⅷ", "--5", "+", "=", "==",
    "=784=", "NaN", "∞", "\x00", "\x1b[31m784", "\u202e487", "784\u200b", "💥784", "**", "2**3**4",
    "1^0", "1^-1", "-1", "?",
    "N×", "28/3x28/3", "⌊28/2⌋", "0" * 300, "x".join(["2"] * 30), "+".join(["2*3"] * 70),
    "{layer}", "%s", "a" * 100_000,
    "512x" * 20 + "512", "784*512+" * 35 + "1", "x".join(map(str, range(11, 34))), "convolution" * 27, "ﷺ" * 50,
)
# fmt: on


def _table(model: str) -> LayerTable:
    return next(table for table in built_in().values() if table.model == model)


def _marked(model: str, **answers: dict[Column, str]) -> dict[tuple[str, Column], Mark]:
    """Return the marks of a sheet with some answers, by layer and column."""
    table = _table(model)
    sheet: Answers = tuple(answers.get(layer.name, {}) for layer in table.layers)
    return {(mark.layer, mark.column): mark for mark in mark_sheet(table, sheet).marks}


def _mark(cell: _Cell, answer: str) -> Mark:
    model, layer, column = cell
    return _marked(model, **{layer: {column: answer}})[layer, column]


@pytest.mark.parametrize("cell", RIGHT)
def test_what_is_right_is_marked_so_in_any_usual_way(cell: _Cell) -> None:
    wrong = {answer: _mark(cell, answer) for answer in RIGHT[cell]}
    wrong = {answer: mark for answer, mark in wrong.items() if mark.state not in ("right", "form")}
    assert not wrong, [(answer, mark.state, [reason.kind for reason in mark.reasons]) for answer, mark in wrong.items()]


@pytest.mark.parametrize("cell", WRONG)
def test_what_is_wrong_is_never_marked_right(cell: _Cell) -> None:
    marks = {answer: _mark(cell, answer).state for answer in WRONG[cell]}
    assert not {answer: state for answer, state in marks.items() if state in ("right", "form")}


def test_no_answer_breaks_the_marker() -> None:
    for table in map(_table, ("RN_1", "RN_2")):
        for answer in HOSTILE:
            row: dict[Column, str] = dict.fromkeys(("type", "specification", "output", "parameters"), answer)
            marked = mark_sheet(table, (row,) * len(table.layers))
            assert len(marked.marks) == 4 * len(table.layers)
            assert marked.points <= marked.out_of


def test_a_slip_in_two_cells_of_a_row_is_marked_once() -> None:
    marks = _marked("RN_1", fc1={"output": "572", "parameters": "784×572 + 572"})
    assert [reason.carried_from for reason in marks["fc1", "output"].reasons] == [""]
    assert [reason.carried_from for reason in marks["fc1", "parameters"].reasons] == ["fc1"]


def test_what_follows_from_a_guess_costs_nothing_more() -> None:
    marks = _marked("RN_1", fc1={"output": "600"}, relu1={"output": "600"}, fc2={"parameters": "600×256 + 256"})
    assert [marks["relu1", "output"].points, marks["fc2", "parameters"].points] == [1.0, 1.0]
