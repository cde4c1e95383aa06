"""A user's own code under the check: a Python file is run, and everything in it that has one of six forms is found.

The forms, as people write them: 1 forward(x) and backward(grad_y); 2 forward(input) and backward(input, grad_output);
3 forward(input) and backward(output_gradient, learning_rate); 4 a model with a loss and backward(y); 5 plain functions
forward(x, params) and backprop(x, y, params); 6 a loss and its gradient.
"""
