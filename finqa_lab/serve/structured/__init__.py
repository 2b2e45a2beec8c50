"""Structured output: grammars compiled to automata over token ids, so that a reply cannot have the wrong form."""
