"""Export wrappers with one fault each, and some that differ as a wrapper may; a test installs them as a plugin."""

from __future__ import annotations

import torch
from torch import nn


class Wrapper(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.backbone, self.head = model.backbone, model.head

    def change(self, img):
        return img

    def forward(self, img):
        return nn.functional.normalize(self.head(self.backbone(self.change(img))))


class Bgr(Wrapper):
    def change(self, img):
        return img.flip(1)


class Gbr(Wrapper):
    def change(self, img):
        return img[:, [1, 2, 0]]


class Mirror(Wrapper):
    def change(self, img):
        return img.flip(3)


class UpsideDown(Wrapper):
    def change(self, img):
        return img.flip(2)


class Transposed(Wrapper):
    def change(self, img):
        return img.transpose(2, 3)


class Turned(Wrapper):
    def change(self, img):
        return img.transpose(2, 3).flip(3)


class Scale(Wrapper):
    def __init__(self, model, factor: float = 0.9):
        super().__init__(model)
        self.factor = factor

    def change(self, img):
        return img * self.factor


class Offset(Wrapper):
    def __init__(self, model, shift: float = 0.02):
        super().__init__(model)
        self.shift = shift

    def change(self, img):
        return img + self.shift


class Gamma(Wrapper):
    def change(self, img):
        return img**2.2


class Negative(Wrapper):
    def change(self, img):
        return 1 - img


class Bytes(Wrapper):
    def change(self, img):
        return img * 255


class Grey(Wrapper):
    def change(self, img):
        return img.mean(1, keepdim=True).expand(-1, 3, -1, -1)


class Bfloat16(Wrapper):
    def change(self, img):
        return img.to(torch.bfloat16).to(torch.float32)


class Normalized(Wrapper):
    """As if the model's own normalisation were by other constants."""

    def __init__(self, model, mean: list[float] = (0.0, 0.0, 0.0), std: list[float] = (1.0, 1.0, 1.0)):
        super().__init__(model)
        own = model.backbone.preprocessing
        tensors = {"mean": mean, "std": std, "own_mean": own.mean, "own_std": own.std}
        for name, values in tensors.items():
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1))

    def change(self, img):
        return (img - self.mean) / self.std * self.own_std + self.own_mean


class NormalizedTwice(Normalized):
    def change(self, img):
        return (img - self.own_mean) / self.own_std


class EmbeddingBias(Wrapper):
    def forward(self, img):
        return nn.functional.normalize(self.head(self.backbone(img)) + 0.02)


class Rolled(Wrapper):
    def forward(self, img):
        return super().forward(img).roll(1, 1)


class FlippedSign(Wrapper):
    def forward(self, img):
        feats = super().forward(img)
        return torch.cat([-feats[:, :1], feats[:, 1:]], 1)


class FlippedRow(Wrapper):
    """In place, in the very model that it was given."""

    def __init__(self, model):
        super().__init__(model)
        linear = [module for module in self.head.modules() if isinstance(module, nn.Linear)][-1]
        with torch.no_grad():
            linear.weight[3] *= -1


class RandomWeights(Wrapper):
    def __init__(self, model):
        super().__init__(model)
        torch.manual_seed(1)
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d)):
                module.reset_parameters()


class TrainingBatchNorm(nn.Module):
    """Normalises by the batch's own statistics, as if nobody had called eval() on it."""

    def __init__(self, layer):
        super().__init__()
        self.weight, self.bias, self.eps = layer.weight, layer.bias, layer.eps
        self.act = getattr(layer, "act", nn.Identity())

    def forward(self, x):
        mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, unbiased=False)
        scaled = (x - mean) / (variance + self.eps).sqrt() * self.weight[:, None, None] + self.bias[:, None, None]
        return self.act(scaled)


class TrainingMode(Wrapper):
    """One layer only."""

    def __init__(self, model):
        super().__init__(model)
        names = [name for name, module in self.named_modules() if isinstance(module, nn.BatchNorm2d)]
        parent, _, child = names[len(names) // 2].rpartition(".")
        layer = self.get_submodule(names[len(names) // 2])
        setattr(self.get_submodule(parent), child, TrainingBatchNorm(layer))


class BgrInBatchesAbove(Wrapper):
    def __init__(self, model, *, count: int = 17):
        super().__init__(model)
        self.count = count

    def change(self, img):
        return torch.where(torch._shape_as_tensor(img)[0] > self.count, img.flip(1), img)


class Shifted(Wrapper):
    def forward(self, img):
        return super().forward(img).roll(1, 0)


class FirstRowOnly(Wrapper):
    def forward(self, img):
        return super().forward(img)[:1].expand(img.shape[0], -1)


class NotANumber(Wrapper):
    def forward(self, img):
        return torch.log(super().forward(img) - 2)


class Pixels(Wrapper):
    """Resizes in the graph, in the way that the option says."""

    def __init__(self, model, image_size, *, mode: str = "bilinear", align_corners: bool | None = None):
        super().__init__(model)
        self.size, self.mode, self.align_corners = tuple(image_size), mode, align_corners

    def resize(self, pixels):
        return nn.functional.interpolate(pixels, self.size, mode=self.mode, align_corners=self.align_corners)

    def forward(self, img):
        return super().forward(self.resize(img.permute(0, 3, 1, 2).float() / 255))


class PillowPixels(Pixels):
    def resize(self, pixels):
        from zoo_onnx.wrappers import resize_bilinear

        return resize_bilinear((pixels * 255).round().to(torch.uint8), self.size).float() / 255


class PixelsBgr(PillowPixels):
    def change(self, img):
        return img.flip(1)


class PixelsBgrAbove(PillowPixels):
    """In large images alone."""

    def forward(self, img):
        large = torch._shape_as_tensor(img)[1] > 1000
        return super().forward(torch.where(large, img.flip(3), img))


class PixelsBgrTall(PillowPixels):
    """In tall ones alone."""

    def forward(self, img):
        tall = torch._shape_as_tensor(img)[1] > 3000
        return super().forward(torch.where(tall, img.flip(3), img))


class Unnormalized(Wrapper):
    """Allowed: consumers normalise."""

    def forward(self, img):
        return 3 * self.head(self.backbone(img))


class More(Wrapper):
    """Allowed: further outputs of any kind."""

    def forward(self, img):
        feats = super().forward(img)
        bright = img.mean((1, 2, 3))
        return feats, feats.argmax(1), (bright > 0.5).float(), bright > 0.5, 100 * bright, feats.half()


class Swapped(Wrapper):
    def forward(self, img):
        feats = super().forward(img)
        return feats.argmax(1), feats


class Failing(Wrapper):
    """Raises ``what``: while it is built, or in its forward."""

    def __init__(self, model, *, what: str = "KeyError", early: bool = False):
        super().__init__(model)
        self.what = what
        if early:
            self.fail()

    def fail(self):
        raise {"KeyError": KeyError("no such\nkey"), "SystemExit": SystemExit(3), "MemoryError": MemoryError()}[
            self.what
        ]

    def forward(self, _img):
        self.fail()


class UnspeakableError(Exception):
    def __str__(self):
        raise ValueError("no")


class FailsToSay(Wrapper):
    def forward(self, _img):
        raise UnspeakableError


class FailsInEval(Wrapper):
    def eval(self):
        raise KeyError("no such key")


class Scalar(Wrapper):
    def forward(self, img):
        return super().forward(img), img.mean()


class FailingWhenTraced(Failing):
    def forward(self, img):
        if torch.jit.is_tracing():
            self.fail()
        return Wrapper.forward(self, img)


class ReturnsDict(Wrapper):
    def forward(self, img):
        return {"feats": super().forward(img)}


class TooMany(Wrapper):
    def forward(self, img):
        feats = super().forward(img)
        return feats, feats
