#pragma once
#include <stdbool.h>

// Whether the program is built with the thread sanitizer. What else there is for it, is in MutexHandle.c.
bool thread_sanitizer_is_on(void);
