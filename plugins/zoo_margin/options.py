"""The options of the losses in a recipe, validated before anything is built. Defaults are those of the papers."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

Cosine = Annotated[float, Field(ge=0, le=2)]
Radians = Annotated[float, Field(ge=0, lt=math.pi)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class RowOptimizerOptions(BaseModel):
    """The options of all row optimizers. Each takes some of them, and has its own defaults for those not given."""

    model_config = ConfigDict(extra="forbid")

    momentum: Decay = 0.9
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: Positive = 1e-8
    weight_decay: NonNegative = 0.0


# The options that each optimizer takes.
_OPTIMIZER_OPTIONS = {
    "adamw": {"betas", "eps", "weight_decay"},
    "sgd": {"momentum", "weight_decay"},
    "adagrad": {"eps", "weight_decay"},
}


class TableOptions(BaseModel):
    """The options of the class table; which mode is best depends on the number of classes."""

    model_config = ConfigDict(extra="forbid")

    mode: Literal["auto", "dense", "sparse"] = "auto"
    negatives: PositiveInt | None = None
    rate: Annotated[float, Field(gt=0, le=1)] | None = None
    optimizer: Literal["adamw", "sgd", "adagrad"] = "adamw"
    optimizer_options: RowOptimizerOptions = RowOptimizerOptions()
    lr_factor: Positive = 1.0
    log_q: bool = False

    @model_validator(mode="after")
    def _check_combination(self) -> TableOptions:
        sparse = sorted(self.model_fields_set - {"mode"})
        if self.mode == "dense" and sparse:
            raise ValueError(f"mode dense has no {sparse[0]}: there the recipe's optimizer moves all rows")
        if self.negatives and self.rate:
            raise ValueError("negatives and rate say the same thing; give one of them")
        known = _OPTIMIZER_OPTIONS[self.optimizer]
        if unknown := sorted(self.optimizer_options.model_fields_set - known):
            raise ValueError(f"{self.optimizer} takes {', '.join(sorted(known))}, not {unknown[0]}")
        return self


class SoftmaxOptions(BaseModel):
    """The options of all losses."""

    s: Positive = 64.0
    warmup: Fraction = 0.2
    initial_s: Positive | None = None
    contrast: NonNegative = 0.0
    contrast_s: Positive = 10.0
    centers: PositiveInt = 1
    class_table: TableOptions = TableOptions()


class CosFaceOptions(SoftmaxOptions):
    """The options of CosFace; its paper has a margin of 0.35, ArcFace's authors use 0.4 for it."""

    m: Cosine = 0.4


class ArcFaceOptions(SoftmaxOptions):
    """The options of ArcFace."""

    m: Radians = 0.5


class SubCenterOptions(ArcFaceOptions):
    """The options of sub-center ArcFace."""

    centers: PositiveInt = 3


class CombinedOptions(SoftmaxOptions):
    """The options of the combined margin; the defaults are the paper's CM1, and its CM2 is 0.9, 0.4, 0.15."""

    m1: Positive = 1.0
    m2: Radians = 0.3
    m3: Cosine = 0.2


class AdaFaceOptions(SoftmaxOptions):
    """The options of AdaFace."""

    m: Annotated[float, Field(ge=0, lt=math.pi / 2)] = 0.4
    h: Positive = 0.333
    momentum: Fraction = 0.99


class MagFaceOptions(SoftmaxOptions):
    """The options of MagFace; the defaults are those of the authors' code."""

    low_m: Radians = 0.45
    high_m: Radians = 0.8
    low_norm: Positive = 10.0
    high_norm: Positive = 110.0
    weight: NonNegative = 35.0

    @model_validator(mode="after")
    def _check_ranges(self) -> MagFaceOptions:
        if self.low_m > self.high_m:
            raise ValueError(f"low_m, {self.low_m:g}, is above high_m, {self.high_m:g}")
        if self.low_norm >= self.high_norm:
            raise ValueError(f"low_norm, {self.low_norm:g}, is not below high_norm, {self.high_norm:g}")
        return self


class CurricularFaceOptions(ArcFaceOptions):
    """The options of CurricularFace."""

    momentum: Fraction = 0.99


class ElasticFaceOptions(SoftmaxOptions):
    """The options of ElasticFace; ``sigma`` is that of the authors' configurations of both kinds."""

    m: Cosine | None = None
    sigma: NonNegative = 0.05
    angular: bool = True
