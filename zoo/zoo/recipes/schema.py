"""The schema of a recipe's sections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zoo_core.components import Kind

# Where a recipe names components.
COMPONENTS: dict[tuple[str, ...], Kind] = {
    ("model", "backbone"): "backbone",
    ("model", "head"): "head",
    ("model", "loss"): "loss",
    ("data", "train"): "dataset",
    ("data", "valid"): "dataset",
    ("data", "augmentation"): "augmentation",
    ("onnx",): "export_wrapper",
    ("optimizer",): "optimizer",
    ("lr_scheduler",): "lr_scheduler",
}

# Any number of further data sets to train on.
ALSO = ("data", "train_also")
# Lists of components.
LISTS: dict[tuple[str, ...], Kind] = {
    ALSO: "dataset",
    ("trainer", "callbacks"): "callback",
    ("trainer", "logger"): "logger",
    ("metrics",): "metric",
}
# Set where the recipe distils.
TEACHER = ("model", "distillation", "teacher")


def component_paths(recipe: object = None) -> dict[tuple[str | int, ...], Kind]:
    """Return the kind of each component by its path: of a ``recipe`` as plain values also those that lists hold.

    There is a teacher unless the recipe does not distil.
    """
    paths: dict[tuple[str | int, ...], Kind] = dict(COMPONENTS.items())
    for path, kind in LISTS.items():
        listed = _below(recipe, path)
        paths |= {(*path, index): kind for index in range(len(listed) if isinstance(listed, list) else 0)}
    return paths if recipe is not None and _below(recipe, TEACHER[:2]) is None else paths | {TEACHER: "teacher"}


def _below(value: object, path: tuple[str, ...]) -> object:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


PositiveInt = Annotated[int, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
ImageSize = tuple[PositiveInt, PositiveInt]
Metric = Literal[
    "tpr_at_fpr_1e-5",
    "tpr_at_fpr_1e-4",
    "tpr_at_fpr_1e-3",
    "tpr_at_fpr_1e-2",
    "tpr_at_fpr_1e-1",
    "auc",
    "rank1",
]


class Section(BaseModel):
    """A section of a recipe: unknown keys and infinite numbers are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ComponentReference(Section):
    """A component by name, with its options."""

    name: str
    options: dict[str, Any] = {}


class AlsoReference(ComponentReference):
    """A further training data set, and its share of the samples shown."""

    share: Annotated[float, Field(gt=0, lt=1)]


class DistillationSection(Section):
    """A second loss: the embeddings of a batch shall be as similar to each other as a teacher's features are."""

    teacher: ComponentReference
    weight: Annotated[float, Field(gt=0)] = Field(default=1.0, description="of this loss, beside the other's 1")
    temperature: Annotated[float, Field(gt=0)] = Field(
        default=0.1, description="divides the cosines before the softmax over them; less looks at neighbours alone"
    )


class ModelSection(Section):
    """The network and what trains it."""

    backbone: ComponentReference
    head: ComponentReference
    loss: ComponentReference
    distillation: DistillationSection | None = None
    memory_format: Literal["channels_last", "contiguous"] = "channels_last"


class LoaderSection(Section):
    """How images reach the device."""

    batch_size: PositiveInt = 256
    num_workers: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"


class DataSection(Section):
    """What is seen in training, and what of the unseen in validation."""

    image_size: ImageSize = Field(description="height and width in pixels of what the model sees")
    train: ComponentReference
    train_also: list[AlsoReference] = Field(
        default=[],
        description="further data sets to train on, each with its share of the samples shown; the rest is train's",
    )
    valid: ComponentReference
    augmentation: ComponentReference
    augment_on: Literal["loader", "device"] = Field(
        default="loader",
        description="what takes the training's pictures: the loader's processes, or the device, a batch at a time",
    )
    resident: Literal["auto"] | bool = Field(
        default="auto",
        description="whether the decoded samples stay on the device that augments them, in place of being sent at "
        "each step; auto: where they fit into half of its free memory, and never on a CPU",
    )
    valid_captures: Annotated[int, Field(ge=0)] = Field(
        default=0,
        description="augmented captures of each validation sample, with a fixed seed, beside the plain one",
    )
    captures: PositiveInt = Field(
        default=1,
        description="augmented captures of each training sample, side by side in a batch; a loss with contrast needs 2",
    )
    samples_per_epoch: PositiveInt | None = Field(default=None, description="default: every sample once")
    unreadable_share: Fraction = Field(
        default=0.01, description="how much of a data set may be unreadable, and is skipped, before it is an error"
    )
    loader: LoaderSection = LoaderSection()


class OptimizerSection(ComponentReference):
    """An optimizer, with its options and its groups of parameters."""

    reference_batch: PositiveInt | None = Field(
        default=None,
        description="images a step that the learning rate is meant for; with others it is scaled: linearly for SGD, "
        "by the square root for all else; null: never",
    )
    loss_lr: Annotated[float, Field(gt=0)] | None = Field(
        default=None,
        description="the learning rate of the loss' own parameters, such as its class table; null: that of the model",
    )
    decay_norms_and_biases: bool = Field(
        default=False, description="whether weight decay also applies to the norms and biases of the model"
    )


class LrSchedulerSection(ComponentReference):
    """A learning rate schedule, with its options."""

    interval: Literal["epoch", "step"] = Field(
        default="epoch", description="how often a scheduler of torch steps; zoo's own follow the progress of the run"
    )


class EmaSection(Section):
    """The exponential moving average of the weights, which is what is validated and published."""

    decay: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.999, description="of each step, once the run is long enough: n steps in, at most n / (n + 9)"
    )


class CheckpointSection(Section):
    """Which validation metric decides what the best checkpoint is, and how often the last one is written."""

    monitor: Metric = "tpr_at_fpr_1e-3"
    every_minutes: Annotated[float, Field(gt=0)] | None = Field(
        default=5.0,
        description="how often the last checkpoint is written between validations; less often where that would take "
        "more than a hundredth of the time; null: never",
    )
    every_steps: PositiveInt | None = Field(
        default=None, description="the same by steps of the optimizer, whatever it takes; null: never"
    )


class TensorSection(Section):
    """Shape and dtype of one input of the exported graph."""

    shape: Annotated[list[PositiveInt], Field(min_length=1)]
    dtype: Literal["float32", "uint8"] = "float32"


class PrecisionBudget(Section):
    """How much worse than float32, on the recipe's validation data, a smaller file may be and is still kept."""

    mean_cosine: Annotated[float, Field(ge=-1, le=1, description="lowest mean cosine to the float32 embeddings")]
    tpr_loss: Annotated[Fraction, Field(description="largest loss of TPR@FPR=1e-3, beside that of a single pair")]


class Float16Budget(PrecisionBudget):
    """The budget of float16."""

    mean_cosine: Annotated[float, Field(ge=-1, le=1)] = 0.9999
    tpr_loss: Fraction = 0.001


class Int8Budget(PrecisionBudget):
    """The budget of int8."""

    mean_cosine: Annotated[float, Field(ge=-1, le=1)] = 0.995
    tpr_loss: Fraction = 0.005


class PrecisionSection(Section):
    """In which precisions the graph is written: float32 always, others where their loss is within the budget."""

    files: list[Literal["fp32", "fp16", "int8"]] = ["fp32", "fp16"]
    fp16: Float16Budget = Float16Budget()
    int8: Int8Budget = Int8Budget()


class OnnxSection(Section):
    """What to export: the wrapper, its inputs and outputs, and the options of ``torch.onnx.export``."""

    name: str
    input_shape: dict[str, TensorSection]
    input_names: Annotated[list[str], Field(min_length=1)]
    output_names: Annotated[list[str], Field(min_length=1)]
    dynamic_axes: dict[str, dict[str, str]] = {}
    options: dict[str, Any] = Field(default={}, description="of torch.onnx.export")
    wrapper_options: dict[str, Any] = Field(default={}, description="of the wrapper; 'zoo show NAME' lists them")
    precision: PrecisionSection = PrecisionSection()

    def misnamed_axes(self) -> tuple[str, str] | None:
        """Return the one unknown name in ``dynamic_axes`` and the one output without axes, which it must mean."""
        unknown = [name for name in self.dynamic_axes if name not in {*self.input_names, *self.output_names}]
        without = [name for name in self.output_names if name not in self.dynamic_axes]
        return (unknown[0], without[0]) if len(unknown) == len(without) == 1 else None


class CardSection(Section):
    """What only a person can say about the model."""

    license: str | None = Field(
        default=None, description="licence of the weights, by its id on the Hub or of SPDX: apache-2.0, mit, other"
    )
    license_name: str | None = Field(default=None, description="name of a licence that is 'other'")
    license_link: str | None = Field(default=None, description="address of a licence that is 'other'")
    summary: str | None = None
    datasets: list[str] = Field(default=[], description="ids of the training data on the Hub: ORG/NAME")


class HubSection(Section):
    """Where the model is published."""

    repo_id: str | None = None
    private: bool = True


class Recipe(Section):
    """A whole recipe, resolved."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    init_from: Annotated[str, Field(min_length=1)] | None = Field(
        default=None,
        description="a trained model whose weights training starts from, as far as they fit: a run, an artifact "
        "folder, a model's name (ORG/NAME, ORG/NAME@REVISION), or a .safetensors or .ckpt file",
    )
    model: ModelSection
    data: DataSection
    optimizer: OptimizerSection
    lr_scheduler: LrSchedulerSection
    ema: EmaSection | None = None
    trainer: dict[str, Any] = Field(default={}, description="lightning.Trainer's own arguments")
    checkpoint: CheckpointSection = CheckpointSection()
    metrics: list[ComponentReference] = Field(
        default=[], description="what an evaluation measures beside zoo's own figures: metrics of plugins"
    )
    onnx: OnnxSection
    card: CardSection = CardSection()
    hub: HubSection = HubSection()

    def component_paths(self) -> dict[tuple[str | int, ...], Kind]:
        """Return the kind of each component by its path."""
        return component_paths(self.model_dump())

    def component(self, path: Sequence[str | int]) -> ComponentReference:
        """Return the component that stands at ``path``."""
        section: Any = self
        for key in path:
            section = getattr(section, str(key)) if isinstance(section, BaseModel) else section[key]
        return section if isinstance(section, ComponentReference | OnnxSection) else ComponentReference(**section)  # type: ignore[return-value] # a wrapper's section has what a reference has

    def validation_protocol(self) -> dict[str, Any]:
        """Return all that decides which images a model is judged by, as plain values."""
        data = self.data.model_dump(mode="json")
        return {
            "name": data["valid"]["name"],
            "options": data["valid"]["options"],
            "captures": data["valid_captures"],
            "augmentation": data["augmentation"],
            "image_size": data["image_size"],
            "seed": self.seed,
        }
