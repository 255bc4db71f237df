"""ScaledJobs: triggers are read, one decision is made of what was read and of the Jobs there are, Jobs are made."""
