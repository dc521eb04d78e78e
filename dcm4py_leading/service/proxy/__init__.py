"""Objects of other archives on their way through: forwarded, kept, stored on."""
