"""Looking at data before training: contact sheets and reports."""
