# syntax=docker/dockerfile:1
# One image for the three layers: `docker run trireme executor`, say.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
RUN apt-get update && apt-get install -y --no-install-recommends make && rm -rf /var/lib/apt/lists/*
COPY . .
# Both caches stay out of the image; what is built is copied out of the second.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist --features full \
    && cp target/dist/trireme /usr/local/bin/trireme

FROM debian:bookworm-slim
# python3: the shipped skills try the Python that they make, and the examples' commands are written in it.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home --home-dir /home/trireme trireme
COPY --from=build /usr/local/bin/trireme /usr/local/bin/trireme
# The settings are read from the folder that a worker runs in; mount your own over them.
COPY --chown=trireme queues.toml /home/trireme/queues.toml
COPY --chown=trireme examples /home/trireme/examples
USER trireme
WORKDIR /home/trireme
# A worker drains on SIGTERM, which is what `docker stop` sends.
ENTRYPOINT ["trireme"]
CMD ["--help"]
