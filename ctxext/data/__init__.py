"""From a source to encoded, cached, split documents."""
