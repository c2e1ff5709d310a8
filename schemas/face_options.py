"""How a recipe finds, selects and labels the faces of photos."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from faceloom.schemas.base import Model, PathText
from faceloom.schemas.parser import Parser, parser_alone

MASKED_ABOVE = 0.22
"""A face wears a mask if the found one covers more than this share of its box; measured with the `small` detector."""


class OnnxDetector(Model):
    """A face detector of the user's."""

    onnx: PathText = Field(description="path or URL of an ONNX file: a model for `cv2.FaceDetectorYN`, or CenterFace")


class MaskedFaces(Model):
    """Use of a trained detector of masks: which faces wear one already."""

    detector: PathText = Field(description="folder that `faceloom train detector` wrote, or its URL")
    above: float = Field(
        default=MASKED_ABOVE,
        ge=0,
        lt=1,
        description="a face is masked if a mask covers more than this share of its box",
    )
    do: Literal["reject", "keep", "only"] = Field(
        default="reject",
        description="`reject`: masked faces are rejected; `only`: all others are; `keep`: none, the share is only "
        "measured",
    )


class Faces(Model):
    """Selection and detection of the faces of a photo."""

    select: Literal["largest", "all", "centre"] = Field(
        default="largest", description="which faces of a photo to use when it has several"
    )
    min_size: int = Field(
        default=40, ge=0, le=100_000, description="minimum width of a face box, in pixels of the photo"
    )
    assume: Literal["photo", "aligned"] = Field(
        default="photo", description="`aligned`: the photos are ArcFace crops, such as 112 x 112; no detector runs"
    )
    detector: Literal["auto", "hog", "yunet"] | OnnxDetector = Field(
        default="auto",
        description="`hog`: near-frontal faces; `yunet`: also small, turned and masked ones; `auto`: YuNet where HOG "
        "finds no face; `onnx`: your own model",
    )
    confidence: float | None = Field(
        default=None,
        ge=0.2,
        le=1,
        description="score from which YuNet or your own model counts a face as found; by default 0.8, with CenterFace "
        "0.5. A lower one finds more masked, small and blurred faces, and more things that are no face",
    )
    min_score: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="minimum score of a detected face: HOG gives 0 to about 4, 1 for a clear frontal face; other "
        "detectors give 0 to 1",
    )
    max_yaw: float | None = Field(
        default=None, ge=0, le=90, description="maximum rotation of the head to either side, in degrees"
    )
    max_pitch: float | None = Field(
        default=None, ge=0, le=90, description="maximum rotation of the head up or down, in degrees"
    )
    min_sharpness: float | None = Field(
        default=None,
        ge=0,
        le=10**6,
        description="minimum variance of the Laplacian on a crop of 112 x 112 pixels; below about 50 a face looks "
        "blurred",
    )
    min_brightness: float | None = Field(
        default=None, ge=0, le=255, description="minimum mean grey level of the face, 0 to 255"
    )
    max_brightness: float | None = Field(
        default=None, ge=0, le=255, description="maximum mean grey level of the face, 0 to 255"
    )
    min_contrast: float | None = Field(
        default=None, ge=0, le=128, description="minimum standard deviation of the face's grey level"
    )
    masked: MaskedFaces | None = Field(
        default=None, description="run a trained detector of masks on each face, and reject or keep by its share"
    )
    landmarks: Literal["dlib68", "mesh"] = Field(
        default="dlib68",
        description="`dlib68`: dlib's predictor, closest on faces that are not turned far; `mesh`: MediaPipe's face "
        "mesh, which follows turned heads and may be used commercially",
    )
    landmark_model: PathText | None = Field(
        default=None,
        description="path or URL of the model: a dlib 68-point shape predictor, or the `.tflite` file of a face mesh; "
        "the packaged one by default",
    )
    parser: Annotated[Parser, BeforeValidator(parser_alone, json_schema_input_type=Parser | PathText)] | None = Field(
        default=None,
        description="path of a face parser of your own, or its settings; it labels faces whose source has no part maps",
    )
    in_front: tuple[Literal["hair", "hat", "eye_g"], ...] = Field(
        default=("hair", "hat", "eye_g"),
        description="parts that stay in front of painted masks where part maps or `parser` show them, as does what "
        "covers nose or mouth; `[]`: masks lie over everything",
    )
    occluded: Literal["keep", "reject"] = Field(
        default="keep",
        description="faces whose nose and mouth are covered by something, as part maps or `parser` show: a hand, a "
        "microphone",
    )
    damaged: Literal["reject", "keep"] = Field(
        default="reject",
        description="JPEGs that show damage inside; `keep`: they are not looked for, and decoded as far as they go",
    )
    max_pixels: int = Field(
        default=100_000_000, gt=0, le=10**10, description="photos with more pixels are rejected before they are decoded"
    )

    @model_validator(mode="after")
    def _confidence_has_a_detector(self) -> Faces:
        if self.confidence is None:
            return self
        if self.assume == "aligned":
            raise ValueError("confidence has no effect with `assume: aligned`, where no detector runs: leave it out")
        if self.detector == "hog":
            raise ValueError("confidence has no effect with `detector: hog`: use min_score instead")
        return self

    @model_validator(mode="after")
    def _brightness_has_room(self) -> Faces:
        least, most = self.min_brightness, self.max_brightness
        if least is not None and most is not None and least > most:
            raise ValueError(f"min_brightness {least:g} is above max_brightness {most:g}, so no face would be used")
        return self
