"""Generated filings in FinQA's schema: invented companies, drawn figures, executed answers."""
