"""Program → Program."""
