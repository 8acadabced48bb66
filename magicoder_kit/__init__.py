"""Learn, rerun and teach Magicoder: from open-source snippets to a fine-tuned code model and its scores."""

__version__ = "0.1.0"
