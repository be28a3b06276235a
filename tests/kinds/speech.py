"""Rows for speech: the mask is that of audio samples, and layers have frames, of which there are fewer."""

import torch
from torch import nn

from kinds.kind import Case, Table
from kinds.nets import by_name, hidden, noise, seeded

KINDS = Table()
MEAN = {"representation": "mean"}
KERNEL, STRIDE = (5, 3), (3, 2)


def frames(lengths, layers):
    for kernel, stride in zip(KERNEL[:layers], STRIDE[:layers]):
        lengths = (lengths - kernel) // stride + 1
    return lengths


class Speech(nn.Module):
    """Two strided convolutions over audio samples, and two layers over frames."""

    def __init__(self):
        super().__init__()
        self.conv0 = nn.Conv1d(1, 4, KERNEL[0], STRIDE[0])
        self.conv1 = nn.Conv1d(4, 4, KERNEL[1], STRIDE[1])
        self.project, self.head, self.last = nn.Linear(4, 5), nn.Linear(5, 3), nn.Linear(3, 2)

    def forward(self, input_values, attention_mask=None):
        x = torch.tanh(self.conv0(input_values[:, None]))
        x = torch.tanh(self.conv1(x)).transpose(1, 2)
        x = torch.tanh(self.project(x))
        return self.last(self.head(x + x.mean(1, keepdim=True)).mean(1))


LAYERS = ["conv0", "conv1", "project", "head", "last"]


class WithLengths(Speech):
    """The method that speech models of a well-known library have."""

    def _get_feat_extract_output_lengths(self, input_lengths):
        return frames(input_lengths, 2)


class WithMask(Speech):
    """The other method that such models have; only it knows of the padding that is put in front."""

    def _get_feature_vector_attention_mask(self, feature_vector_length, attention_mask):
        lengths = frames(attention_mask.sum(1), 2)
        return torch.arange(feature_vector_length) < lengths[:, None]


def audio(n=32, length=60, left=False):
    for number, values in enumerate(noise(n, length)):
        lengths = torch.randint(20, length + 1, (n, 1), generator=torch.Generator().manual_seed(number))
        lengths[0] = length
        real = torch.arange(length) < lengths
        real = real.flip(1) if left else real
        yield {"input_values": values * real, "attention_mask": real.long()}


def mean_of_frames(layers, axis):
    def read(output, batch):
        lengths = frames(batch["attention_mask"].sum(1), layers)
        output = output.double().movedim(axis, 2)
        real = (torch.arange(output.shape[1]) < lengths[:, None]).double()[..., None]
        return (output * real).sum(1) / real.sum(1)

    return read


READ = {
    "conv0": mean_of_frames(1, 1),
    "conv1": mean_of_frames(2, 1),
    "project": mean_of_frames(2, 2),
    "head": mean_of_frames(2, 2),
}


@KINDS.row("frames by the lengths of convolutions")
def convolutions():
    return Case({"net": seeded(Speech)}, list(audio()), LAYERS, READ, MEAN, call=by_name)


@KINDS.row("frames by the network's own lengths")
def own_lengths():
    return Case({"net": seeded(WithLengths)}, list(audio()), LAYERS, READ, MEAN, call=by_name)


@KINDS.row("frames by the network's own mask")
def own_mask():
    return Case({"net": seeded(WithMask)}, list(audio()), LAYERS, READ, MEAN, call=by_name)


@KINDS.row("frames whose padding is in front")
def padding_in_front():
    reason = "cannot be computed from mask 'attention_mask' (its sequences have padding before or between real tokens)"
    return Case(
        {"net": seeded(Speech)}, list(audio(left=True)), LAYERS, READ, MEAN, call=by_name,
        reasons={f"net:{layer}": reason for layer in LAYERS[:-1]},
    )  # fmt: skip


class Sampled(nn.Module):
    """Frames by a way that no module tells of."""

    def __init__(self):
        super().__init__()
        self.frames, self.head, self.last = nn.Linear(4, 5), nn.Linear(5, 3), nn.Linear(3, 2)

    def forward(self, input_values, attention_mask=None):
        return self.last(self.head(torch.tanh(self.frames(input_values.unfold(1, 4, 2)))).mean(1))


@KINDS.row("frames of which nothing is known")
def unknown_frames():
    reason = (
        "the 60 tokens of mask 'attention_mask', and it is not known which tokens of the layer are padding: give rep"
    )
    return Case(
        {"net": seeded(Sampled)}, list(audio()), ["frames", "head", "last"], {}, MEAN, call=by_name,
        reasons={"net:frames": reason, "net:head": reason},
    )  # fmt: skip


@KINDS.row("frames of which a callable knows")
def frames_by_callable():
    """What the reason for the last row says."""

    def pooled(output, batch, mask):
        real = mask.unfold(1, 4, 2).all(2)[..., None]
        return (output * real).sum(1) / real.sum(1)

    def read(output, batch):
        return pooled(output.double(), batch, batch["attention_mask"].bool())

    return Case(
        {"net": seeded(Sampled)}, list(audio()), ["frames", "head"], read, {"representation": pooled}, call=by_name
    )


@KINDS.row("frames of a network of a library")
def library():
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    config = Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, conv_dim=(8, 8),
        conv_stride=STRIDE, conv_kernel=KERNEL, num_feat_extract_layers=2, num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2, vocab_size=10, feat_extract_norm="layer",
    )  # fmt: skip
    blocks = ["encoder.layers.0", "encoder.layers.1"]
    layers = ["feature_extractor.conv_layers.0", "feature_projection.projection", *blocks]
    read = {layers[0]: mean_of_frames(1, 1), **dict.fromkeys(layers[1:], mean_of_frames(2, 2))}
    read |= {layer: lambda output, batch: mean_of_frames(2, 2)(hidden(output, batch), batch) for layer in layers[2:]}
    net = seeded(lambda: Wav2Vec2Model(config))
    return Case({"net": net}, list(audio(length=80)), layers, read, MEAN, call=by_name)
