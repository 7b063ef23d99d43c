"""Evaluation of networks on data sets, and predictions for single images."""
