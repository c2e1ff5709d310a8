"""What a recipe may say about morphs: how neighbours are found, and how two faces are mixed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from faceloom.schemas.base import Model

Weight = Annotated[float, Field(ge=0, le=1)] | Literal["uniform"]
"""The neighbour's share of a morph, 0..1, or `uniform`: drawn for every morph, evenly from 0 to 1."""


class Weights(Model):
    """The neighbour's share in shape and in texture, drawn independently where they are drawn (Cole et al. 2017)."""

    shape: Weight = Field(default=0.5, description="of the landmarks: 0 is the face's own shape, 1 the neighbour's")
    texture: Weight = Field(default=0.5, description="of the picture inside the face, likewise")


class Morph(Model):
    """Morphs of each face with the faces nearest to it (Anti-Mask 2022, after Cole et al. 2017).

    The distance of two faces is d = lambda * |L_A - L_B| + |T_A - T_B|: landmarks in pixels of the texture, and the
    texture's values. What lambda weighs depends on their units, so they are a choice, and are stored with every morph.
    """

    neighbours: int = Field(default=10, ge=1, le=1000, description="how many of the nearest faces are looked at")
    draw: Literal["each", "random"] = Field(
        default="each", description="one morph with each of them, or one morph with one of them, drawn"
    )
    lambda_: float = Field(
        default=10.0, ge=0, le=1e6, alias="lambda", description="weight of landmarks against texture in the distance"
    )
    texture: Literal["crop", "mean_shape"] = Field(
        default="crop", description="the aligned crop, or the face in it warped to the mean landmarks"
    )
    texture_size: int = Field(default=224, ge=16, le=1024, description="side of the square texture in pixels")
    texture_units: Literal["unit", "levels"] = Field(
        default="unit", description="texture values from 0 to 1, or grey levels from 0 to 255"
    )
    same_identity: Literal["allow", "forbid"] = Field(
        default="forbid", description="whether another photo of the same person may be a neighbour"
    )
    candidates: Literal["all", "ivf"] = Field(
        default="all", description="exact neighbours, or those that an index finds in very large sets, nearly all"
    )
    weights: Weight | Weights = Field(
        default=0.5, description="the neighbour's share, 0 to 1; `uniform` draws it; or shape and texture on their own"
    )
    background: Literal["target", "gradient"] = Field(
        default="target", description="blended on the face's own picture, or pasted there in the gradient domain"
    )

    @property
    def shape_weight(self) -> Weight:
        """The neighbour's share in the landmarks."""
        return self.weights.shape if isinstance(self.weights, Weights) else self.weights

    @property
    def texture_weight(self) -> Weight:
        """The neighbour's share in the picture."""
        return self.weights.texture if isinstance(self.weights, Weights) else self.weights
