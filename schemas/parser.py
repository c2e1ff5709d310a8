"""What a recipe states about a face parser of the user's: a network that labels each pixel of a face."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from faceloom.schemas.base import Model, PathText
from faceloom.schemas.guide import LABEL_ORDERS, PARTS
from faceloom.schemas.source_spec import LabelNames, LabelOrder

_Triple = tuple[float, float, float]


class Parser(Model):
    """A face parser of the user's."""

    onnx: PathText = Field(
        description="path or URL of an ONNX file that maps float32 (1, 3, H, W), RGB, to scores (1, classes, h, w); "
        "class 0 is background"
    )
    size: Annotated[int, Field(ge=16, le=1024)] = Field(
        default=512, description="side of the network's input, in pixels"
    )
    label_order: LabelOrder | LabelNames = Field(
        default="face_parsing",
        description="meaning of the classes 1, 2, …: `celebamask_hq`, `face_parsing`, or a list of names; unknown "
        "names are ignored",
    )
    mean: _Triple = Field(
        default=(0.485, 0.456, 0.406), description="subtracted from red, green and blue, 0 to 1, before the network"
    )
    std: _Triple = Field(
        default=(0.229, 0.224, 0.225), description="what red, green and blue are divided by after that"
    )
    output: str | None = Field(
        default=None, max_length=200, description="name of the output with the scores; needed if there are several"
    )

    @field_validator("label_order")
    @classmethod
    def _known_parts(cls, order: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not isinstance(order, str) and not set(order) & set(PARTS):
            raise ValueError(f"a label order names at least one of {', '.join(PARTS)}")
        return order

    @model_validator(mode="after")
    def _divides(self) -> Parser:
        if min(self.std) <= 0:
            raise ValueError("`std` must be above 0")
        return self

    @property
    def label_names(self) -> tuple[str, ...]:
        """What the classes 1, 2, … mean."""
        return LABEL_ORDERS[self.label_order] if isinstance(self.label_order, str) else self.label_order

    @property
    def order_name(self) -> str:
        """Name of the label order, `given` for a list."""
        return self.label_order if isinstance(self.label_order, str) else "given"


def parser_alone(value: object) -> object:
    """A path alone stands for a parser with all defaults."""
    return {"onnx": value} if isinstance(value, str) else value
