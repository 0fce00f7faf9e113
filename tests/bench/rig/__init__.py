"""What the scripts that measure share: servers that are started and ended, zones that are written, load, figures."""
