"""Third-party clients, one file each: their exceptions stop here and no constructor connects."""
