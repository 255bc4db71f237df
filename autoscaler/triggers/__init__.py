"""ScaledObjects: triggers are read, one decision from 0 to N is made of what was read, replicas are written."""
