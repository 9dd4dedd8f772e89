"""Panoramax: its tiles, its STAC API, its pictures and its weekly export."""
