"""lingjax: do a language model's skills carry over between natural language and biological sequences?"""

__version__ = "0.1.0"
