// Named time zones (cctz over the system's zone files). Exceptions do not leave.
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct mr_zone;

// The zone of this name ("Europe/Berlin"), for as long as the process lives; NULL if there is none.
const struct mr_zone *mr_zone_find(const char *name);

// The offset from UTC in seconds east, of a local time given as seconds since 1970-01-01 00:00 as if it were UTC. A
// time that occurs twice or never has the offset that was in force before the change, as PostgreSQL has it.
int32_t mr_zone_local_offset(const struct mr_zone *zone, int64_t local_seconds);

// The offset from UTC in seconds east at a moment, in seconds since 1970-01-01 00:00 UTC.
int32_t mr_zone_offset(const struct mr_zone *zone, int64_t seconds);

// The moment at which a local time, in seconds since 1970-01-01 00:00 as if it were UTC, is first reached or passed: of
// one that occurs twice the first, of one that never occurs the end of the gap that it lies in. Never falls as local
// times rise.
int64_t mr_zone_first_moment(const struct mr_zone *zone, int64_t local_seconds);

// The moment of the next change of the offset from UTC after this one, both in seconds since 1970-01-01 00:00 UTC;
// INT64_MAX when none is known.
int64_t mr_zone_next_change(const struct mr_zone *zone, int64_t seconds);

#ifdef __cplusplus
}
#endif
