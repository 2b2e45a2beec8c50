"""The arithmetic transformer as a service, one concept a module.

``validation`` (what a problem is) -> ``export`` and ``graphs`` (the decoder as one ONNX graph) -> ``engine`` (problems
in, answers out) -> ``batching`` (concurrent requests in one decode) -> ``live`` (the promoted version of ``registry``)
-> ``app`` and ``server`` (HTTP). Nothing here is imported until it is needed: ``validation``, ``registry`` and
``promotion`` need the standard library only, the rest needs ``pip install 'finqa-lab[serve]'``.
"""
