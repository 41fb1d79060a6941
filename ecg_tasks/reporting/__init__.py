"""Reports people read: templates and figures. Never reads the store."""
