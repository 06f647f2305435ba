# The demo on a CPU. docs/demo.md has the commands.
FROM python:3.12-slim

WORKDIR /app
COPY packages.txt requirements.txt constraints.txt ./
RUN apt-get update && apt-get install --yes --no-install-recommends $(cat packages.txt) \
    && rm -rf /var/lib/apt/lists/*
# The build of torch for CPUs first: the usual one brings gigabytes for GPUs.
ARG TORCH=https://download.pytorch.org/whl/cpu
RUN pip install --no-cache-dir --index-url $TORCH $(grep ^torch== requirements.txt)
RUN pip install --no-cache-dir -r requirements.txt -c constraints.txt

COPY LICENSE README.md app.py ./
COPY assets assets
COPY simswap simswap
RUN python -m compileall -q simswap app.py

# Nobody in particular, who may write into their own folder only.
RUN useradd --create-home --uid 1000 visitor
USER visitor
# Of the machine that the container runs on, only the published port can be reached.
ENV GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=7860
EXPOSE 7860
CMD ["python", "app.py"]
