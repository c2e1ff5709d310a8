"""Paint the faces under the masks of every photo of a folder, with a trained detector and a trained editor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from faceloom.models.detector.predict import MaskDetector
from faceloom.models.editor.predict import MaskEditor
from faceloom.models.editor.preset import COVERED
from faceloom.pipelines.analyse.mask_gate import cut_faces, masked_share
from faceloom.pipelines.apply.detector import on_photo, reach_on_photo
from faceloom.pipelines.apply.photos import (
    PhotoResults,
    face_finder,
    photos_below,
    read_photo,
    refuse_other_results,
    remove_older_results,
)
from faceloom.pipelines.run.watcher import Watcher
from faceloom.pipelines.store.storage import Storage
from faceloom.schemas.errors import PhotoError
from faceloom.schemas.face_options import MASKED_ABOVE, Faces
from faceloom.transforms.align import warp_alpha
from faceloom.transforms.decode import MAX_PIXELS, PhotoHeader, decode_rgb
from faceloom.transforms.detect import FaceBox
from faceloom.transforms.sample.encode import encode
from faceloom.transforms.types import BoolMask, Image, Matrix


def edit_folder(
    run: Path,
    detector: Path,
    photos: Path,
    to: str,
    watcher: Watcher,
    *,
    above: float = MASKED_ABOVE,
    device: str = "auto",
) -> PhotoResults:
    """Remove the masks from all faces of each photo below a folder; results are PNG files under the same names.

    The detector finds the mask of each face, and the editor paints what it hides. A photo on which no face wears a mask
    gives no result.

    Args:
        run: folder of the editor.
        detector: folder of the detector.
        photos: folder of photos, or one photo.
        to: folder of the results; it is created, and existing results of these photos are replaced or deleted.
        watcher: gets the progress.
        above: share of the face box, 0..1; a face on which the found mask covers no more is left as it is.
        device: `cpu`, `cuda`, or `auto`, which takes CUDA if there is a usable GPU.

    Raises:
        CheckpointError: a folder is no checkpoint of its kind, or it is damaged.
        TrainingError: the device is unknown or not available.
        FaceloomError: there are no photos, or the target is the folder of the photos or holds other files.
        StorageError: the machine cannot read a photo, or not write a result; no result is deleted.
    """
    finder, editor = MaskDetector.load(detector, device=device), MaskEditor.load(run, device=device)
    names, target = photos_below(photos, to), Storage(to)
    refuse_other_results(target, [name for name, _ in names])
    find = face_finder(Faces(select="all"))
    written: list[str] = []
    left_out: dict[str, str] = {}
    count = 0
    watcher.stage("edit", len(names), "photos")
    for number, (name, path) in enumerate(names, 1):
        try:
            data = read_photo(path)
            analysis = find(data)
            boxes = [face.box for face in analysis.faces]
            masks = find_masks(finder, data, analysis.header, boxes, above)
            picture, faces = edit_photo(editor, data, analysis.header, boxes, masks)
            if not faces:
                left_out[name] = "no face wears a mask"
                continue
            with target.write(f"{name}.png") as stream:
                stream.write(encode(picture, "png"))
            written.append(f"{name}.png")
            count += faces
        except PhotoError as error:
            left_out[name] = str(error)
        finally:
            watcher.done(number)
    return PhotoResults(tuple(written), count, left_out, remove_older_results(target, left_out))


@dataclass(frozen=True, eq=False)
class FoundMask:
    """The mask of a face: where it is in the detector's crop, bool (S, S), and photo to crop, 2x3."""

    region: BoolMask
    matrix: Matrix


def find_masks(
    detector: MaskDetector, data: bytes, header: PhotoHeader, boxes: Sequence[FaceBox], above: float = MASKED_ABOVE
) -> list[FoundMask | None]:
    """The mask of each face; None if the found one covers no more than a share of the face box."""
    masks: list[FoundMask | None] = []
    for box, cut in zip(boxes, cut_faces(detector.card, data, header, boxes, MAX_PIXELS), strict=True):
        found = None
        if cut is not None:
            found = FoundMask(detector.find(cut[0][None])[0], cut[1])
        worn = found is not None and masked_share(found.region, found.matrix, box) > above
        masks.append(found if worn else None)
    return masks


def edit_photo(
    editor: MaskEditor, data: bytes, header: PhotoHeader, boxes: Sequence[FaceBox], masks: Sequence[FoundMask | None]
) -> tuple[Image, int]:
    """Paint the faces under their masks.

    Args:
        editor: that paints.
        data: the photo's bytes.
        header: from `read_header`.
        boxes: of the faces, in the photo.
        masks: of each face, or None to leave it alone.

    Returns:
        uint8 (H, W, 3), RGB, and the number of faces that were painted. Pixels away from the masks are the photo's own.

    Raises:
        PhotoError: the photo cannot be decoded.
    """
    worn = [(box, found) for box, found in zip(boxes, masks, strict=True) if found is not None]
    photo = decode_rgb(data, header=header, max_pixels=MAX_PIXELS)
    count = 0
    for (_, found), cut in zip(
        worn, cut_faces(editor.card, data, header, [box for box, _ in worn], MAX_PIXELS), strict=True
    ):
        if cut is None:
            continue
        crop, matrix = cut
        mask = on_photo(found.region[None], [found.matrix], header.size)
        touched = warp_alpha(mask.astype(np.float32), matrix, (editor.size, editor.size)) > COVERED
        painted, inside = editor.edit(crop, touched)
        _put_back(photo, painted, inside, matrix)
        count += 1
    return photo, count


def _put_back(photo: Image, painted: Image, inside: BoolMask, matrix: Matrix) -> None:
    """Put a painted region of a crop on the photo; its edge is soft over one pixel of the crop."""
    import cv2

    part, moved, extent = reach_on_photo(matrix, len(painted), (photo.shape[1], photo.shape[0]))
    if not all(extent):
        return
    share = warp_alpha(inside.astype(np.float32), moved, extent)[..., None]
    spread = cv2.warpAffine(painted, moved, extent, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    mixed = photo[part] + (spread.astype(np.float32) - photo[part]) * share
    photo[part] = np.where(share > 0, np.rint(mixed).clip(0, 255).astype(np.uint8), photo[part])
