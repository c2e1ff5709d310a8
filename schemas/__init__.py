"""What is written down: recipe, table rows, plan, keys, errors. Imports nothing else of faceloom."""
