"""The book's tables of figures, a module for each benchmark, made from the JSON that it wrote, none by hand."""
