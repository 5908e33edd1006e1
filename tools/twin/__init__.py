"""The printer twin: an emulated RP2040 board and the machine around it."""
