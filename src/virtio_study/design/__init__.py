"""Switchback studies: what a design would show, its schedule, and the files that people and hosts follow."""
