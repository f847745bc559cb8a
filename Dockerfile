# bitwise with software Vulkan, and the Vulkan drivers of AMD and Intel GPUs; NVIDIA's come from its container toolkit.
# docs/SERVING.md says how to run it.

ARG DENO=2.9.6
ARG DEBIAN=bookworm

FROM denoland/deno:bin-${DENO} AS deno

FROM debian:${DEBIAN}-slim
# libxext6 is what NVIDIA's Vulkan driver loads
RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates libvulkan1 libxext6 mesa-vulkan-drivers \
  && rm -rf /var/lib/apt/lists/*
COPY --from=deno /deno /usr/local/bin/deno

RUN useradd --uid 10001 --create-home bitwise \
  && install -d -o bitwise -g bitwise /app /results /models
ENV DENO_DIR=/home/bitwise/.cache/deno \
  DENO_NO_UPDATE_CHECK=1 \
  XDG_RUNTIME_DIR=/tmp \
  NVIDIA_VISIBLE_DEVICES=all \
  NVIDIA_DRIVER_CAPABILITIES=graphics,compute,utility

USER bitwise
WORKDIR /app
COPY --chown=bitwise LICENSE cli.ts deno.json deno.lock ./
COPY --chown=bitwise assets/models assets/models
COPY --chown=bitwise browser browser
COPY --chown=bitwise commands commands
COPY --chown=bitwise deps deps
COPY --chown=bitwise engine engine
COPY --chown=bitwise kernels kernels
COPY --chown=bitwise model model
COPY --chown=bitwise serve serve
COPY --chown=bitwise types types
# nothing is downloaded when a container starts
RUN deno install --frozen --entrypoint cli.ts $(find serve model -name '*_worker.ts' -o -name '*_thread.ts')
RUN deno task build

EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["deno", "run", "--cached-only", "--no-prompt", "--allow-read", "--allow-write", "--allow-net", "--allow-env", "cli.ts"]
CMD ["--help"]
