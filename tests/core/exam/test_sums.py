"""Numbers, sums and sizes are read as people write them, and nothing else is."""

from __future__ import annotations

import pytest

from core.exam.sums import UnreadableAnswer, WrittenNumber, read_number, read_size

CONV2 = ((32, 64, 3, 3), (64,))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("18496", WrittenNumber(18496, None)),
        *((f"18{space}496", WrittenNumber(18496, None)) for space in " ,.'’_\u00a0\u202f\u2009"),
        ("= 320 paramètres.", WrittenNumber(320, None)),
        ("0", WrittenNumber(0, None)),
        ("32x64x3x3 + 64", WrittenNumber(18496, CONV2)),
        ("32·64·3·3+64 = 18 496", WrittenNumber(18496, CONV2, (18496,))),
        ("18496=32*64*3*3+64", WrittenNumber(18496, CONV2, (18496,))),
        ("32 × 64 × 3² + 64", WrittenNumber(18496, CONV2)),
        ("32X64X3^2+64", WrittenNumber(18496, CONV2)),
        ("(32×64×3×3) + 64", WrittenNumber(18496, CONV2)),
        ("64(32·9 + 1)", WrittenNumber(18496, ((64, 32, 9), (64,)))),
        ("(784+1)*512", WrittenNumber(401_920, ((784, 512), (512,)))),
        ("288 poids + 32 biais = 320", WrittenNumber(320, ((288,), (32,)), (320,))),
        ("1x32x3x3+32= 320", WrittenNumber(320, ((32, 3, 3), (32,)), (320,))),
        ("32x64x9 = 18432 + 64 = 18496", WrittenNumber(18496, ((32, 64, 9), (64,)), (18496,))),
        ("288*64 = 18432 → +64 = 18496", WrittenNumber(18496, ((288, 64), (64,)), (18496,))),
        ("3*3*32 = 288 ; 288*64 = 18432 ; 18432+64 = 18496", WrittenNumber(18496, ((3, 3, 32, 64), (64,)), (18496,))),
        ("32*64*3*3 [18432] + 64", WrittenNumber(18496, CONV2)),
        ("N = 32×64×9 (=18432) + 64 = 18496", WrittenNumber(18496, ((32, 64, 9), (64,)), (18496,))),
        (r"$32\times64\cdot9+64$", WrittenNumber(18496, ((32, 64, 9), (64,)))),
        ("18\u200b496", WrittenNumber(18496, None)),
        ("18496 (32×64×3×3+64)", WrittenNumber(18496, CONV2, (18496,))),
        ("32×64×9 (poids) + 64 (biais) → 18496", WrittenNumber(18496, ((32, 64, 9), (64,)), (18496,))),
        ("32x64x3x3+64 = 320", WrittenNumber(18496, CONV2, (320,))),
        ("12 − 2", WrittenNumber(10, ((12,), (2, -1)))),
        ("(28 + 2·1 − 3)/2 + 1", WrittenNumber(14, ((13,), ()))),
    ],
)
def test_a_number_or_sum_is_read(text: str, number: WrittenNumber) -> None:
    assert read_number(text) == number


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "=", "+", "beaucoup", "1+", "(3", "3)", "3 4", "12=13", "3x", "1e9", "½", "∞", "-", "320?"),
        *("9^9^9", "9**99999999", "2^1000000", "9" * 400, "(" * 300 + "1" + ")" * 300, "+".join("1" * 200), "3/0"),
        *("__import__('os')", "1;2", "(1+1)" * 40, "\x00"),
    ],
)
def test_what_is_no_number_is_unreadable(text: str) -> None:
    with pytest.raises(UnreadableAnswer):
        read_number(text)


@pytest.mark.parametrize(
    "text",
    [
        *("32×28×28", "32x28x28", "32 * 28 * 28", "(32,28,28)", "[32, 28, 28]", "32 28 28", "32;28;28", "32·28·28"),
        *("32 canaux de 28×28", "torch.Size([32, 28, 28])", "N×32×28×28", "(-1, 32, 28, 28)", "(None, 32, 28, 28)"),
        *(
            "32 x (28 x 28)",
            "32 × 28²",
            "32×28×28 = 25 088",
            "batch × 32 × 28 × 28",
            "32-28-28",
            r"$32\times28\times28$",
        ),
        *("(28+2*1-3)/1+1 = 28 → 32×28×28", "32×28×28 (padding=1)", "32×28×28 (25088)"),
    ],
)
def test_a_size_is_read(text: str) -> None:
    assert (32, 28, 28) in [size.sides for size in read_size(text)]


def test_a_size_may_have_several_readings() -> None:
    assert [size.sides for size in read_size("3 136")] == [(3, 136), (3136,)]
    product = read_size("64·7·7 = 3136")[0]
    assert (product.is_product, product.has_value, product.says_otherwise) == (True, True, False)
    assert read_size("64·7·7 = 3163")[0].says_otherwise
    assert read_size("(28 + 2·1 − 3)/1 + 1 = 28")[0].sides == (28,)


@pytest.mark.parametrize("text", ["", "large", "x", "32×", "9" * 50, "?", "()"])
def test_what_is_no_size_is_unreadable(text: str) -> None:
    with pytest.raises(UnreadableAnswer):
        read_size(text)
