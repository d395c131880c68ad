# The environment of the recipes, for a GPU node: Python, the packages of requirements.txt, ffmpeg, libsndfile.  The checkout is not in it but mounted,
# and path.sh takes this Python, since it has the packages.  CUDA comes with torch's wheels, the driver from the host.  docs/use.md, "Containers".
FROM python:3.12-slim-bookworm

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ffmpeg git libsndfile1 \
    && rm -rf /var/lib/apt/lists/* \
    && git config --system --add safe.directory '*'

COPY requirements.txt requirements-optional.txt /environment/
RUN pip install --no-cache-dir --disable-pip-version-check -r /environment/requirements.txt -r /environment/requirements-optional.txt

ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility LC_ALL=C PYTHONUTF8=1 PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp NUMBA_CACHE_DIR=/tmp/numba

RUN useradd --create-home --uid 1000 speech
USER 1000
WORKDIR /checkout
CMD ["./run.sh", "--doctor"]
