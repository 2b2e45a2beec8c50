"""Finding the facts that a question needs: chunks, sparse, dense and hybrid search, reranking, indexes, metrics."""
