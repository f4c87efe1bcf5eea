"""What a mark says to whoever filled in the cell, and how the right answer is found."""

from __future__ import annotations

from collections.abc import Mapping

from core.exam.chain import role
from core.exam.sheet import Column, Kind, Mark, Reason, State
from core.messages import N_, Message, Value
from core.networks.layer_table import Layer
from core.networks.shapes import times

REASONS: Mapping[Kind, str] = {
    "bias_forgotten": N_("the bias is forgotten"),
    "bias_twice": N_("the bias is counted twice"),
    "bias_per_weight": N_("a bias is counted for each weight, not for each output"),
    "bias_of_inputs": N_("a bias is counted for each input, not for each output"),
    "bias_added": N_("a bias is counted, but this layer has none"),
    "kernel_side": N_("the kernel's side is taken for its area"),
    "input_channels_forgotten": N_("the input channels are forgotten"),
    "groups_ignored": N_("the groups are ignored: a filter sees only the channels of its group"),
    "other_layer": N_("this is of another layer, {layer}"),
    "other_type": N_("this is another type of layer"),
    "image_multiplied": N_("the image's size is multiplied in, but the same weights serve every place"),
    "channels_alone": N_("only the channels are given, without the image's size"),
    "image_alone": N_("only the image's size is given, without the channels"),
    "pool_not_applied": N_("the pooling {layer} is not applied to the size"),
    "pool_twice": N_("the pooling {layer} is applied twice"),
    "padding_forgotten": N_("the padding of {layer} is forgotten"),
    "stride_forgotten": N_("the stride of {layer} is forgotten"),
    "channels_for_flattened": N_("the channels alone are taken for the flattened size"),
    "image_for_flattened": N_("the image's size without its channels is taken for the flattened size"),
    "value_wrong": N_("the sum does not give the value beside it"),
    "slip": N_("a wrong digit: {written}"),
    "carried": N_("this follows from {written}"),
}
"""What each mistake is, the same for whoever marks and whoever made it."""
_WITHOUT_DETAILS: Mapping[Kind, str] = {
    "other_layer": N_("this is of another layer"),
    "pool_not_applied": N_("a pooling is not applied to the size"),
    "pool_twice": N_("a pooling is applied twice"),
    "padding_forgotten": N_("the padding is forgotten"),
    "stride_forgotten": N_("the stride is forgotten"),
    "slip": N_("a wrong digit"),
    "carried": N_("this follows from an earlier cell"),
}
STATES: Mapping[State, str] = {
    "right": N_("right"),
    "form": N_("right but for the form"),
    "empty": N_("empty"),
    "unreadable": N_("unreadable"),
    "wrong": N_("wrong"),
}
_FORMS: Mapping[str, str] = {
    "one_number": N_("work the product out: the output is one row of numbers"),
    "sides": N_("write channels×height×width"),
    "batch": N_("leave the batch out: the size is that for one image"),
    "inputs": N_("say the number of inputs as well"),
    "outputs": N_("say the number of outputs as well"),
    "kernel": N_("say the kernel's size as well"),
    "padding": N_("say the padding as well"),
    "stride": N_("say the stride as well"),
    "groups": N_("say the groups as well"),
    "dilation": N_("say the dilation as well"),
}
_WAYS: Mapping[Column, str] = {
    "type": N_("look at the layer's class in the network's code"),
    "specification": N_("look at the layer's arguments in the network's code"),
    "output": N_("begin with the size that the layer before gives"),
    "parameters": N_("count the weights, then the biases"),
}
_UNREADABLE: Mapping[Column, str] = {
    "type": N_("write a word, such as convolution"),
    "specification": N_("write the layer's arguments, such as 3→8, 5×5, padding 2"),
    "output": N_("write a size, such as 8×12×12, or a number"),
    "parameters": N_("write a number or a sum, such as 3×8×5×5 + 8"),
}


def reason_text(reason: Reason) -> Message:
    """Return what a mistake is: `the bias is forgotten`."""
    text = REASONS[reason.kind]
    values: dict[str, Value] = {"layer": reason.layer, "written": reason.written}
    has_all = all(values[name] for name in values if f"{{{name}}}" in text)
    return Message(text if has_all else _WITHOUT_DETAILS[reason.kind], values)


def verdict(mark: Mark) -> list[Message]:
    """Return what a mark says, a phrase for each thing; nothing of it gives the right answer away."""
    phrases = [Message(STATES[mark.state])]
    for reason in mark.reasons:
        phrases.append(reason_text(reason))
        if reason.carried_from:
            phrases.append(Message("as in {layer}, where it was counted", {"layer": reason.carried_from}))
    if mark.state == "wrong" and not mark.reasons:
        phrases.append(Message(_WAYS[mark.column]))
    if mark.state == "unreadable":
        phrases.append(Message(_UNREADABLE[mark.column]))
    if mark.state == "form":
        phrases += [Message(_FORMS[form]) for form in mark.form.split(",") if form] or [Message("mind the spelling")]
    return phrases


def hints(layer: Layer, column: Column) -> tuple[Message, Message, Message]:
    """Return the three hints of a cell: what to look at, the formula, and the formula with its numbers."""
    return _HINTS[column](layer)


def right_answer(layer: Layer, column: Column) -> Message:
    """Return the right answer of a cell."""
    match column:
        case "type":
            return layer.kind
        case "specification":
            specification = layer.specification
            if not specification.text:
                return Message("–")
            as_written = {name: str(value) for name, value in specification.values.items()}  # not in groups of digits
            return Message(specification.text, {**as_written})
        case "output":
            return Message("{size}", {"size": times(layer.output_shape or ("–",))})
    if not layer.parameters:
        return Message("0")
    return Message("{sum} = {count}", {"sum": layer.parameter_sum, "count": layer.parameters})


def _type_hints(layer: Layer) -> tuple[Message, Message, Message]:
    return (
        Message("Look at what {layer} is made of in the network's code, and at what it does to its input.", _of(layer)),
        Message("Its class is {type}.", {"type": layer.type}),
        layer.kind,
    )


def _specification_hints(layer: Layer) -> tuple[Message, Message, Message]:
    settings = layer.settings
    look = Message("Look at the arguments of {layer} in the network's code.", _of(layer))
    if settings is None:
        text = N_("It takes one setting.") if layer.specification.text else N_("There is nothing to specify.")
        return look, Message(text), right_answer(layer, "specification")
    if not settings.kernel:
        formula = Message("inputs → outputs")
    elif settings.inputs:
        formula = Message("input channels → filters, kernel, and the stride and padding if they are not 1 and 0")
    else:
        formula = Message("the window's size and its stride")
    return look, formula, right_answer(layer, "specification")


def _output_hints(layer: Layer) -> tuple[Message, Message, Message]:
    given = times(layer.input_shape or ("?",))
    look = Message("{layer} is given {size}: what the layer before gives.", {**_of(layer), "size": given})
    formulas: Mapping[str, str] = {
        "convolution": N_(
            "as many channels as filters; each side is (n + 2·padding − kernel)/stride + 1, rounded down"
        ),
        "pooling": N_("the same channels; each side is (n + 2·padding − window)/stride + 1, rounded down"),
        "linear": N_("as many numbers as the layer has neurons"),
        "flatten": N_("channels × height × width, as one row of numbers"),
        "same": N_("each number is changed on its own: the size stays"),
        "other": N_("see what the layer's definition says of the size"),
    }
    formula = Message(formulas[role(layer)])
    size = times(layer.output_shape or ("–",))
    derived = f"{layer.output_derivation} → {size}" if layer.output_derivation else size
    return look, formula, Message("{derivation}", {"derivation": derived})


def _parameter_hints(layer: Layer) -> tuple[Message, Message, Message]:
    look = Message("Which numbers of {layer} does the training change?", _of(layer))
    settings = layer.settings
    if not layer.parameters:
        return look, Message("a layer that only computes has none"), Message("0")
    if settings is None or not settings.outputs:
        formula = N_("count each tensor that is learnt")
    elif settings.kernel:
        formula = (
            N_("input channels × filters × the kernel's area")
            if not settings.bias
            else N_("input channels × filters × the kernel's area + a bias for each filter")
        )
    else:
        formula = N_("inputs × outputs") if not settings.bias else N_("inputs × outputs + a bias for each output")
    return look, Message(formula), Message("{sum}", {"sum": layer.parameter_sum})


def _of(layer: Layer) -> dict[str, Value]:
    return {"layer": layer.name}


_HINTS = {
    "type": _type_hints,
    "specification": _specification_hints,
    "output": _output_hints,
    "parameters": _parameter_hints,
}
