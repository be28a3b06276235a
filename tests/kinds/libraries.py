"""Rows for networks of torchvision, timm and Hugging Face, with random weights."""

from collections import OrderedDict

import torch
from torch import nn

from kinds.kind import Case, Table
from kinds.nets import bert, by_name, entry, gpt2, hidden, ids, noise, over_space, padding, seeded, the_input

KINDS = Table()


def small_resnet():
    from torchvision.models.resnet import BasicBlock, ResNet

    return ResNet(BasicBlock, [1, 2, 1, 1], num_classes=5)


@KINDS.row("torchvision ResNet")
def resnet():
    layers = ["conv1", "maxpool", "layer1.0", "layer2.0.downsample", "layer2.0", "layer2.1.bn2", "layer4", "fc"]
    return Case({"net": seeded(small_resnet)}, noise(22, 3, 32, 32), layers, confounders=[the_input])


@KINDS.row("torchvision ViT")
def vision_transformer():
    from torchvision.models import VisionTransformer

    model = seeded(lambda: VisionTransformer(16, 4, 2, 2, 16, 24, num_classes=5))
    block = "encoder.layers.encoder_layer_0"
    layers = ["conv_proj", f"{block}.ln_1", f"{block}.self_attention", f"{block}.mlp", block, "encoder"]
    return Case({"net": model}, noise(32, 3, 16, 16), layers, entry, confounders=[the_input])


@KINDS.row("torchvision Swin")
def swin():
    """Its attention uses the weights of `qkv` and never calls it."""
    from torchvision.models import SwinTransformer

    model = seeded(lambda: SwinTransformer([2, 2], 8, [1, 2], [2, 2], [4, 4], num_classes=5))
    layers = ["features.0", "features.1.0.attn.qkv", "features.1.0.attn", "features.1.0", "features.2.reduction",
              "features.3.1", "permute", "head"]  # fmt: skip
    reasons = {"net:features.1.0.attn.qkv": "never ran"}
    return Case({"net": model}, noise(32, 3, 16, 16), layers, reasons=reasons, confounders=[the_input])


def resnet_with_pyramid():
    from torchvision.models.detection.backbone_utils import BackboneWithFPN

    stages = {"layer2": "0", "layer3": "1", "layer4": "2"}
    return BackboneWithFPN(small_resnet(), stages, [128, 256, 512], 8)


@KINDS.row("feature pyramid")
def pyramid():
    """Returns an ordered dictionary of maps, the finest one first."""
    layers = ["body.layer2", "body", "fpn.inner_blocks.2", "fpn.layer_blocks.0", "fpn"]
    reading = dict.fromkeys(["body", "fpn"], lambda output, batch: output["0"].flatten(1))
    model = seeded(resnet_with_pyramid)
    return Case({"net": model}, noise(22, 3, 32, 32), layers, reading, confounders=[the_input])


def detector():
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.backbone_utils import BackboneWithFPN

    stages = OrderedDict(fine=nn.Conv2d(3, 4, 2, 2), act=nn.ReLU(inplace=True), coarse=nn.Conv2d(4, 6, 2, 2))
    backbone = BackboneWithFPN(nn.Sequential(stages), {"act": "0", "coarse": "1"}, [4, 6], 8)
    return FasterRCNN(
        backbone, num_classes=3, min_size=16, max_size=16, rpn_pre_nms_top_n_test=4, rpn_post_nms_top_n_test=3,
        rpn_anchor_generator=AnchorGenerator([[4], [8], [16]], [[0.5, 1.0]] * 3),
    )  # fmt: skip


def detection(batches, images):
    """The heads see three regions an image, which are no samples."""

    def stacked(batch):
        return torch.stack(images(batch))

    def finest(output, batch):
        return output["0"].flatten(1)

    return Case(
        {"net": seeded(detector)}, batches,
        ["backbone.body.coarse", "backbone.body", "backbone.fpn", "rpn.head", "roi_heads.box_head"],
        {"backbone.body": finest, "backbone.fpn": finest, "rpn.head": lambda output, batch: output[0][0].flatten(1)},
        {"confounder": stacked}, lambda model, batch: model(images(batch)),
        [lambda batch, outputs: stacked(batch).flatten(1)],
        reasons={"net:roi_heads.box_head": "no tensor with the batch's 16 samples"},
    )  # fmt: skip


@KINDS.row("detection model, list of images")
def images():
    return detection([list(batch) for batch in noise(16, 3, 16, 16, count=4)], lambda batch: batch)


@KINDS.row("detection model, (list of images, targets)")
def images_and_targets():
    batches = [(list(batch), [{"boxes": torch.zeros(1, 4)}] * 16) for batch in noise(16, 3, 16, 16, count=4)]
    return detection(batches, lambda batch: batch[0])


@KINDS.row("timm CNN")
def timm_cnn():
    import timm

    model = seeded(lambda: timm.create_model("test_convnext", num_classes=5))
    layers = ["stem", "stages.0.blocks.0", "stages.1.downsample.0", "stages.3", "norm_pre", "head.norm", "head"]
    options = {"representation": "mean"}
    return Case({"net": model}, noise(32, 3, 64, 64), layers, over_space, options, confounders=[the_input])


@KINDS.row("timm ViT")
def timm_vit():
    from timm.models.vision_transformer import VisionTransformer

    model = seeded(
        lambda: VisionTransformer(img_size=16, patch_size=4, embed_dim=16, depth=2, num_heads=2, num_classes=5)
    )
    layers = ["patch_embed", "blocks.0.attn", "blocks.0.mlp", "blocks.0", "blocks.1", "norm", "head"]

    def class_token(output, batch):
        return output[:, 0] if output.ndim == 3 else output

    options = {"representation": "cls"}
    return Case({"net": model}, noise(32, 3, 16, 16), layers, class_token, options, confounders=[the_input])


def mean_by(key):
    def read(output, batch):
        output = hidden(output, batch)
        if output.ndim < 3:
            return output
        real = batch[key].double()[..., None]
        return (output * real).sum(1) / real.sum(1)

    return read


def token_ids(n, length, seed=0, prefix=""):
    """Entries with padding on the right."""
    for number, tokens in enumerate(ids(n, length, seed)):
        real = padding(n, length, seed=seed + number)
        yield {f"{prefix}input_ids": tokens * real, f"{prefix}attention_mask": real.long()}


@KINDS.row("Hugging Face encoder")
def encoder():
    layers = ["embeddings", "encoder.layer.0.attention.self", "encoder.layer.0", "encoder.layer.1", "encoder", "pooler"]
    reading = dict.fromkeys(layers, mean_by("attention_mask"))
    reading["encoder"] = lambda output, batch: mean_by("attention_mask")(output.last_hidden_state.double(), batch)
    options = {"representation": "mean"}
    return Case({"net": bert()}, list(token_ids(32, 7)), layers, reading, options, call=by_name)


@KINDS.row("Hugging Face decoder")
def decoder():
    layers = ["wte", "wpe", "h.0.attn", "h.0.mlp", "h.0", "h.1", "ln_f"]
    reading = dict.fromkeys(layers, mean_by("attention_mask"))
    # the embedding of positions is made once for all samples
    reasons = {"net:wpe": "is one and the same for all 32 samples"}
    options = {"representation": "mean"}
    batches = list(token_ids(32, 7))
    return Case({"net": gpt2()}, batches, layers, reading, options, call=by_name, reasons=reasons)


def t5():
    from transformers import T5Config, T5ForConditionalGeneration

    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=40, d_model=16, d_kv=8, d_ff=24, num_layers=2, num_decoder_layers=1, num_heads=2,
            decoder_start_token_id=0, use_cache=False,
        )
    )  # fmt: skip


def encoder_decoder(target_length):
    """Each side has a mask of its own."""
    sources, targets = token_ids(32, 7), token_ids(32, target_length, seed=5, prefix="decoder_")
    layers = ["encoder.embed_tokens", "encoder.block.0", "encoder.block.1"]
    reading = dict.fromkeys(layers, mean_by("attention_mask"))
    layers += ["decoder.embed_tokens", "decoder.block.0.layer.1", "decoder.block.0", "lm_head"]
    reading |= dict.fromkeys(layers[3:], mean_by("decoder_attention_mask"))
    batches = [a | b for a, b in zip(sources, targets)]
    options = {"representation": "mean"}
    return Case({"net": seeded(t5)}, batches, layers, reading, options, call=by_name)


@KINDS.row("Hugging Face encoder-decoder")
def encoder_decoder_of_two_lengths():
    return encoder_decoder(5)


@KINDS.row("Hugging Face encoder-decoder, equal lengths")
def encoder_decoder_of_one_length():
    """Only the layers' place in the network tells which mask is theirs."""
    return encoder_decoder(7)


@KINDS.row("Hugging Face encoder-decoder with labels")
def encoder_decoder_with_labels():
    """Its forward knows labels, and makes the decoder's input of them."""
    batches = [
        {"input_ids": a, "attention_mask": torch.ones_like(a), "labels": b} for a, b in zip(ids(32, 6), ids(32, 4, 5))
    ]
    layers = ["encoder.block.1", "decoder.block.0", "lm_head"]
    return Case({"net": seeded(t5)}, batches, layers, entry, call=by_name)
