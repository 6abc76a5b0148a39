"""The rows of the route table, a module for each noun. `routes.py` joins them; what a row says stands in `route.py`."""
