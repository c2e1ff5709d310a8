"""The gallery: a page that shows what shards hold."""
