"""What the numbers cost, and whether their errors are right. See README.md beside this file."""
