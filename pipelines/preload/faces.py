"""What every worker process needs: image libraries, the pipeline, dlib's detector and the default landmark model."""

from __future__ import annotations

import contextlib
import gc
import os
from importlib import import_module

from faceloom.schemas.errors import FaceloomError

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # threads do not survive a fork
gc.disable()  # nothing that is loaded here is ever garbage; looking for some takes a tenth of the time
with contextlib.suppress(FaceloomError, ImportError):  # a worker process that needs it reports what is missing
    for _module in ("cv2", "dlib", "pyarrow.parquet", "faceloom.pipelines.build"):
        import_module(_module)
    from faceloom.pipelines.analyse.model_files import find_landmark_model, load_detector, load_predictor

    load_detector()
    load_predictor(find_landmark_model())
gc.freeze()  # what all processes share stays shared
gc.enable()
