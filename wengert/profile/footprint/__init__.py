"""Memory: measured, predicted, explained, compared."""
