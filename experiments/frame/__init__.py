"""What experiments share: settings, one frame from search to report, judging, estimates."""
