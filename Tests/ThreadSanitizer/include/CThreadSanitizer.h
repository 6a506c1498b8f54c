// Nothing to call: see MutexHandle.c.
