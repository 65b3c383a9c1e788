"""Objectives: what training minimises, as sums over tokens."""
