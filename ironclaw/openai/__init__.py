"""What stands behind `/v1`: OpenAI's protocol spoken to clients, by the connected server or by the agent. No HTTP here."""
