"""Network access for all providers: HTTP, answers, quotas, worker pools, pictures."""
