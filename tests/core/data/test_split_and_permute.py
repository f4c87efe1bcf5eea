"""The validation split, and the permutation of the pixels."""

from __future__ import annotations

import torch

from core.data import split_and_permute
from core.data.datasets import Dataset
from core.networks import exam
from tests.core.training.sample_runs import configuration


def rows(images: torch.Tensor) -> set[bytes]:
    return {image.numpy().tobytes() for image in images}


def test_the_validation_set_is_a_fixed_tenth_of_the_training_set(sample: Dataset) -> None:
    split = split_and_permute.prepared(sample, configuration(validate=True))
    again = split_and_permute.prepared(sample, configuration(validate=True, model="RN_2", epochs=9))
    other = split_and_permute.prepared(sample, configuration(validate=True, seed=8))
    assert (len(split.train_labels), len(split.validation_labels)) == (3600, 400)
    assert torch.equal(split.validation_images, again.validation_images)
    assert split.digest == again.digest != other.digest
    whole = torch.cat([split.train_images, split.validation_images]).flatten(1).long().sum(0)
    assert torch.equal(whole, sample.train_images.flatten(1).long().sum(0))
    assert rows(split.train_images) | rows(split.validation_images) == rows(sample.train_images)
    assert rows(split.train_images).isdisjoint(rows(split.validation_images))
    assert rows(split.validation_images).isdisjoint(rows(sample.test_images))
    assert torch.equal(split.test_images, sample.test_images)


def test_without_it_nothing_is_held_out(sample: Dataset) -> None:
    assert split_and_permute.prepared(sample, configuration()) is sample


def test_the_permutation_is_one_and_can_be_undone(sample: Dataset) -> None:
    permutation = split_and_permute.pixel_permutation()
    assert sorted(permutation.tolist()) == list(range(784))
    assert torch.equal(permutation, split_and_permute.pixel_permutation())
    assert (permutation != torch.arange(784)).sum() > 700
    back = split_and_permute.permuted(sample.test_images).flatten(1)[:, permutation.argsort()].reshape(-1, 28, 28)
    assert torch.equal(back, sample.test_images)


def test_training_and_test_images_are_permuted_alike_whatever_the_run(sample: Dataset) -> None:
    permuted = split_and_permute.prepared(sample, configuration(permute=True))
    assert torch.equal(permuted.train_images, split_and_permute.permuted(sample.train_images))
    assert torch.equal(permuted.test_images, split_and_permute.permuted(sample.test_images))
    assert torch.equal(permuted.train_labels, sample.train_labels)
    assert (
        permuted.digest
        == split_and_permute.prepared(sample, configuration(permute=True, seed=99)).digest
        != sample.digest
    )


def test_the_perceptron_does_not_see_the_permutation(sample: Dataset) -> None:
    """If its first layer's columns are permuted too, it computes the same, and such weights were just as likely."""
    images = sample.test_images[:50].float().unsqueeze(1) / 255
    permutation = split_and_permute.pixel_permutation()
    network, other = exam.RN_1().double(), exam.RN_1().double()
    other.load_state_dict(network.state_dict())
    with torch.no_grad():
        other.fc1.weight.copy_(network.fc1.weight[:, permutation])
    permuted = split_and_permute.permuted(images.squeeze(1)).unsqueeze(1)
    torch.testing.assert_close(other(permuted.double()), network(images.double()))


def test_held_out_images_are_permuted_too(sample: Dataset) -> None:
    plain = split_and_permute.prepared(sample, configuration(validate=True))
    permuted = split_and_permute.prepared(sample, configuration(validate=True, permute=True))
    assert torch.equal(permuted.validation_images, split_and_permute.permuted(plain.validation_images))
