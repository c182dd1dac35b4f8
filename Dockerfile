# The receiver: Flask behind waitress, and the Docker command line with Compose to deploy with. Nothing is built at run time.
FROM python:3.13-slim

RUN apt-get update \
    && apt-get install --yes --no-install-recommends docker-cli docker-compose \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*

COPY requirements.txt /app/
RUN python -m pip install --no-cache-dir --no-deps --require-hashes --requirement /app/requirements.txt \
    && python -m pip uninstall --yes pip

COPY webhook_server.py /app/
COPY deployer /app/deployer
RUN useradd --uid 10001 --create-home --home-dir /var/lib/deployer deployer \
    && chmod 700 /var/lib/deployer \
    && printf '#!/bin/sh\nexec python -m deployer "$@"\n' > /usr/local/bin/deployer \
    && chmod 755 /usr/local/bin/deployer

ENV PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DEPLOYER_CONFIG=/etc/deployer/config.toml
USER deployer
WORKDIR /var/lib/deployer
EXPOSE 9000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --start-interval=1s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ.get('DEPLOYER_PORT', '9000') + '/health', timeout=4)"]
CMD ["python", "/app/webhook_server.py"]
