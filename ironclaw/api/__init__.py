"""HTTP, SSE and WebSocket: requests become typed calls of the services, and their results become replies. Nothing else."""
