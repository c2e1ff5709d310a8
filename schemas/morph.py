"""Morphs in a recipe: how neighbours are found, and how two faces are mixed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from faceloom.schemas.base import Model

Weight = Annotated[float, Field(ge=0, le=1)] | Literal["uniform"]
"""The neighbour's share of a morph, 0..1, or `uniform`: drawn for every morph, evenly from 0 to 1."""


class Weights(Model):
    """The neighbour's share in shape and in texture, drawn independently where they are drawn (Cole et al. 2017)."""

    shape: Weight = Field(
        default=0.5, description="share in the landmarks: 0 is the face's own shape, 1 the neighbour's"
    )
    texture: Weight = Field(default=0.5, description="share in the picture: 0 is the face's own, 1 the neighbour's")


class Morph(Model):
    """Morphs of each face with the faces nearest to it (Anti-Mask 2022, after Cole et al. 2017).

    The distance of two faces is d = lambda * |L_A - L_B| + |T_A - T_B|, with landmarks in pixels of the texture. The
    meaning of lambda depends on the units of the texture, so both are stored with every morph.
    """

    neighbours: int = Field(
        default=10, ge=1, le=1000, description="number of nearest faces to morph with or to draw from"
    )
    draw: Literal["each", "random"] = Field(
        default="each", description="`each`: one morph with each neighbour; `random`: one morph with a random neighbour"
    )
    lambda_: float = Field(
        default=10.0, ge=0, le=1e6, alias="lambda", description="weight of landmarks against texture in the distance"
    )
    texture: Literal["crop", "mean_shape"] = Field(
        default="crop", description="compare the aligned crop, or the face warped to the mean landmarks"
    )
    texture_size: int = Field(default=224, ge=16, le=1024, description="side of the square texture in pixels")
    texture_units: Literal["unit", "levels"] = Field(
        default="unit", description="texture values from 0 to 1, or grey levels from 0 to 255"
    )
    same_identity: Literal["allow", "forbid"] = Field(
        default="forbid", description="whether another photo of the same person may be a neighbour"
    )
    candidates: Literal["all", "ivf"] = Field(
        default="all", description="exact search, or an approximate index for very large sets"
    )
    weights: Weight | Weights = Field(
        default=0.5, description="the neighbour's share, 0 to 1; `uniform`: random; or a mapping with shape and texture"
    )
    background: Literal["target", "gradient"] = Field(
        default="target", description="blend over the face's own photo, or paste in the gradient domain"
    )

    @property
    def shape_weight(self) -> Weight:
        """The neighbour's share in the landmarks."""
        return self.weights.shape if isinstance(self.weights, Weights) else self.weights

    @property
    def texture_weight(self) -> Weight:
        """The neighbour's share in the picture."""
        return self.weights.texture if isinstance(self.weights, Weights) else self.weights
