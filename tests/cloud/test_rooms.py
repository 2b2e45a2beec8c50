"""The room costs nothing to those who do not deploy. That it looks down only is held by `tests/course`."""

import ast
import subprocess
import sys

from finqa_lab.files import REPOSITORY

ROOM = REPOSITORY / "finqa_lab" / "cloud"


def test_planning_and_simulating_import_neither_torch_nor_the_sdk():
    modules = (
        "plan, confirm, clients, deploy, teardown, orphans, autoscale, capacity, prices, ledger, training, container"
    )
    code = f"import sys; from finqa_lab.cloud import {modules}; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "boto3", "botocore", "sagemaker", "moto"} & {
        name.partition(".")[0] for name in done.stdout.split()
    }


def test_the_host_of_a_container_needs_the_standard_library_only():
    """The image has its own server; ours must not lend the handler a module that the archive lacks."""
    for node in ast.walk(ast.parse((ROOM / "host.py").read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) else []
        assert {name.partition(".")[0] for name in names} <= set(sys.stdlib_module_names)
