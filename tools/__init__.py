"""What runs on the PC: builds, the printer twin, benches, plots."""
