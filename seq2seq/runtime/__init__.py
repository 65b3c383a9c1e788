"""Where code runs: devices, memory, cores, and the processes that torchrun starts."""
