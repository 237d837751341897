# The server, the command line and the programs of a cluster's jobs. docs/container.md says how to build and to run it.

FROM python:3.11-slim-bookworm AS dependencies
RUN apt-get update \
 && apt-get install --yes --no-install-recommends binutils tini \
 && rm -rf /var/lib/apt/lists/* \
 && python -m venv --without-pip /opt/loopbench
# The lock file in requirements/ to install: "server" for CPUs, or "gpu" with CUDA's libraries.
ARG EXTRA=server
COPY requirements/${EXTRA}.lock /build/requirements.lock
# Files for compiling and debugging are removed: headers, libclang, tests, static libraries, symbols. Bytecode
# is not compared with its source, so that it stays valid when the files' times change.
RUN pip --python /opt/loopbench/bin/python install --no-cache-dir --no-compile --only-binary :all: \
      --require-hashes --requirement /build/requirements.lock \
 && cd /opt/loopbench/lib/python3.11/site-packages \
 && rm -rf tensorflow/include nvidia/*/include clang \
 && find numpy scipy -type d -name tests -prune -exec rm -r {} + \
 && find . -name '*.a' -delete \
 && find tensorflow -name '*.so*' -type f -exec strip --strip-unneeded {} + \
 && /opt/loopbench/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash .

FROM dependencies AS code
COPY requirements/build.lock /build/build.lock
RUN python -m venv --without-pip /build/venv \
 && pip --python /build/venv/bin/python install --no-cache-dir --only-binary :all: \
      --require-hashes --requirement /build/build.lock
WORKDIR /build/source
COPY pyproject.toml README.md ./
COPY proto proto
COPY diagnose diagnose
COPY client client
COPY server server
RUN /build/venv/bin/python -m hatchling build --target wheel --directory /build/dist \
 && pip --python /opt/loopbench/bin/python install --no-cache-dir --no-compile --no-deps --no-index \
      --prefix /build/installed /build/dist/*.whl \
 && python -m compileall -q --invalidation-mode unchecked-hash \
      -s /build/installed -p /opt/loopbench /build/installed/lib

FROM python:3.11-slim-bookworm
# The base image has Python's standard library without bytecode, and setuid programs.
RUN groupadd --gid 65532 loopbench \
 && useradd --uid 65532 --gid 65532 -K UID_MAX=65532 --no-create-home --home-dir /home/loopbench \
      --shell /usr/sbin/nologin loopbench \
 && install --directory --owner=65532 --group=65532 /home/loopbench /var/lib/loopbench \
 && find / -xdev -type f -perm /6000 -exec chmod a-s {} + \
 && python -m compileall -q --invalidation-mode unchecked-hash \
      "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
COPY --from=dependencies /usr/bin/tini-static /usr/bin/tini
# Separate layers: a change of the code does not change the layer of the dependencies.
COPY --from=dependencies /opt/loopbench /opt/loopbench
COPY --from=code /build/installed /opt/loopbench
ENV PATH=/opt/loopbench/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/home/loopbench \
    XDG_STATE_HOME=/var/lib \
    LOOPBENCH_DATA_DIR=/data
WORKDIR /home/loopbench
USER 65532:65532
EXPOSE 50051 50052 9464
STOPSIGNAL SIGTERM
# It forwards signals and reaps orphans of worker processes.
ENTRYPOINT ["tini", "--"]
CMD ["loopbench-server"]
ARG VERSION
ARG REVISION
ARG CREATED
# Some builders reuse cached layers after changed arguments unless a command uses them.
RUN : "$VERSION" "$REVISION" "$CREATED"
# Results contain the revision, like those of a checkout.
ENV LOOPBENCH_SOURCE_REVISION=$REVISION
LABEL org.opencontainers.image.title="loopbench" \
      org.opencontainers.image.description="Benchmark service that settles whether GradientTape, Model.fit and an overridden train_step agree" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$CREATED"
