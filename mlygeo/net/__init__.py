"""The wire, whoever answers: HTTP, answers, quotas, workers, pictures."""
