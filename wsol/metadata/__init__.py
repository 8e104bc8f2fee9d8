"""Ground truth of localization: wsolevaluation's text files, importers, a validator, class predictions. No torch."""
