# One image for worker, beat, dashboard, simulator and command line. It has no HEALTHCHECK: what is healthy differs for each,
# and docker-compose.yml says so service by service.
FROM python:3.12-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
WORKDIR /src
# The dependencies are a layer of their own, made again only when they change: an empty package brings them.
COPY pyproject.toml README.md LICENSE ./
RUN mkdir massconvert tasks workers && touch celeryconfig.py massconvert/__init__.py && /opt/venv/bin/pip install '.[dashboard,metrics]'
COPY celeryconfig.py ./
COPY massconvert massconvert
COPY tasks tasks
COPY workers workers
RUN /opt/venv/bin/pip wheel --no-deps --wheel-dir /dist . && \
    /opt/venv/bin/pip install --no-deps --force-reinstall /dist/*.whl

FROM python:3.12-slim
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/massconvert massconvert
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MASSCONVERT_STATE_DIR=/var/lib/massconvert
# massconvert.toml and .env are looked for here.
WORKDIR /app
USER massconvert
# Celery's warm shutdown: finish what runs, hand back the rest, within 30 s.
STOPSIGNAL SIGTERM
CMD ["massconvert", "worker"]
