# One image for worker, beat, simulator and command line. It has no HEALTHCHECK: what is healthy differs for each,
# and docker-compose.yml says so service by service.
FROM python:3.12-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /app
# The dependencies are a layer of their own, made again only when they change.
COPY pyproject.toml README.md LICENSE ./
RUN mkdir massconvert && touch massconvert/__init__.py && pip install --editable .

FROM python:3.12-slim
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/massconvert massconvert
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
# Editable: celeryconfig, tasks and workers stand beside massconvert, as in a checkout.
COPY pyproject.toml README.md LICENSE celeryconfig.py ./
COPY massconvert massconvert
COPY tasks tasks
COPY workers workers
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MASSCONVERT_STATE_DIR=/var/lib/massconvert
USER massconvert
# Celery's warm shutdown: finish what runs, hand back the rest, within 30 s.
STOPSIGNAL SIGTERM
CMD ["celery", "-A", "workers", "worker"]
