from __future__ import annotations

import subprocess
import sys


def test_albumentations_is_loaded_without_torch_and_torch_can_still_be() -> None:
    code = (
        "import sys, faceloom.pipelines.preload.augmentation; "
        "print('albumentations' in sys.modules, 'torch' in sys.modules); import torch; print(torch.ones(1).item())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False", "1.0"]
