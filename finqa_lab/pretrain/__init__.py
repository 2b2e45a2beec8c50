"""A small base model from nothing: its text, its tokenizer, its training."""
