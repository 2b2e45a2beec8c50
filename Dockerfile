# The whole course in one container, with PyTorch's CPU build. Build and use it from the root of the repository:
#   docker build --build-arg TORCH_INDEX=... -t finqa-course .   # where PyTorch's CPU builds are; see .ci/cpu_environment
#   docker run --rm -p 127.0.0.1:8888:8888 finqa-course     # Jupyter; it prints the address with its token
#   docker run --rm finqa-course make labs                  # any command of the README
FROM python:3.11.14-slim-bookworm
RUN apt-get update && apt-get install -y --no-install-recommends git make && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 1000 --create-home student && mkdir /home/student/course && chown student /home/student/course
USER student
WORKDIR /home/student/course
# The environment first: it is made again only when the lock or the project file changes.
COPY --chown=student requirements.txt pyproject.toml Makefile README.md LICENSE ./
COPY --chown=student .ci .ci
COPY --chown=student finqa_lab/__init__.py finqa_lab/
ARG TORCH_INDEX=""
RUN .ci/cpu_environment
COPY --chown=student . .
EXPOSE 8888
# Inside the container all interfaces; what is reachable from outside is decided by `docker run -p`.
CMD [".venv/bin/jupyter", "lab", "--no-browser", "--ip=0.0.0.0", "--port=8888", "labs"]
