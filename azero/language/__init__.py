"""What a program is: ops, arrays, text, and the zoo of the paper's programs."""
