"""Drawings as data, and two ways to draw them: SVG for pages, matplotlib for notebooks."""
