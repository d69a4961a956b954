"""What a process tells of itself: traces, times of its calls, and that it is alive."""
