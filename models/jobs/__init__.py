"""The training jobs, one file each. The name of the file is that of the job; its presets are in `models.presets`."""
