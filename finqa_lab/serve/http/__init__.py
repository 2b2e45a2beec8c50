"""The engine behind HTTP, in two dialects: that of OpenAI's API and that of Ollama's.

A request goes through ``gate`` (who asks; one log line) and ``answering`` (body, client still there, deadline) to a
dialect, ``openai_routes`` or ``ollama_routes``, which turns its body into one common form, ``asking``. That becomes a
request to the engine: the adapter from ``catalogue``, the prompt through the chat template, the grammar from
``structure``. The engine's tokens come back as ``pieces`` of text (``detokenize``, ``stopping``), and the dialect
writes them, whole or streamed. ``request_log`` and ``metrics`` keep what was measured; ``openapi`` describes it all;
``app`` puts the parts together, and ``launch`` makes them from a model's name.

Needs ``pip install 'finqa-lab[serve]'``.
"""
