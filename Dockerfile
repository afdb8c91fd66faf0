# lingjax with its commands. docker build --build-arg EXTRA=cuda13 for NVIDIA GPUs, EXTRA=tpu for TPU VMs; by default a CPU.
#   docker build -t lingjax . && docker run -v "$PWD/runs:/lingjax/runs" lingjax experiments.transfer --help
FROM python:3.12-slim
ARG EXTRA=
RUN apt-get update -qq && apt-get install -qq -y --no-install-recommends make ncbi-blast+ && rm -rf /var/lib/apt/lists/*
WORKDIR /lingjax
COPY setup.py pyproject.toml constraints.txt README.md ./
COPY lingjax lingjax
RUN pip install --no-cache-dir -c constraints.txt -e ".[prep${EXTRA:+,$EXTRA}]"
COPY . .
ENTRYPOINT ["python", "-m"]
CMD ["experiments.transfer", "--help"]
