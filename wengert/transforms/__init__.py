"""Derivatives, batches and their compositions. Each transform is small enough to read in one sitting."""
