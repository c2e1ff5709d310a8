from __future__ import annotations

import subprocess
import sys


def test_models_and_libraries_are_loaded_and_beam_is_not() -> None:
    code = (
        "import sys, faceloom.pipelines.preload.faces; "
        "from faceloom.pipelines.analyse.model_files import _predictor, load_detector; "
        "print(load_detector.cache_info().currsize, _predictor.cache_info().currsize, *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    detector, predictor, *modules = done.stdout.split()
    assert (detector, predictor) == ("1", "1")
    assert {"cv2", "dlib", "pyarrow.parquet", "faceloom.pipelines.build"} <= set(modules)
    assert "apache_beam" not in modules


def test_a_model_that_is_missing_is_no_error_yet() -> None:
    code = "import faceloom.pipelines.preload.faces"
    done = subprocess.run([sys.executable, "-c", code], env={"FACELOOM_LANDMARK_MODEL": "/nowhere"}, check=True)
    assert done.returncode == 0
