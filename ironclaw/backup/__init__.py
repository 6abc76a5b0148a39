"""Copies of a home: made while the gateway runs, checked, put back, and made every night."""
