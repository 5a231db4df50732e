"""One program compiled alone, for full-size images, tuning and export."""
