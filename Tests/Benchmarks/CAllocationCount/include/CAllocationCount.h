// Counts the process's allocations: a program that links this gets its malloc from here.
#pragma once

long mr_allocation_count(void);
