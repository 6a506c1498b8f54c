#include "CTimeZone.h"

#include <cctz/civil_time.h>
#include <cctz/time_zone.h>

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>

struct mr_zone {
    cctz::time_zone zone;
};

namespace {

using Seconds = cctz::time_point<cctz::seconds>;

Seconds moment(int64_t seconds) { return Seconds(cctz::seconds(seconds)); }

int32_t offset(const mr_zone *zone, Seconds when) { return static_cast<int32_t>(zone->zone.lookup(when).offset); }

}  // namespace

const struct mr_zone *mr_zone_find(const char *name) {
    static std::mutex lock;
    static std::map<std::string, std::unique_ptr<mr_zone>> zones;
    try {
        const std::lock_guard<std::mutex> guard(lock);
        const auto known = zones.find(name);
        if (known != zones.end()) return known->second.get();
        cctz::time_zone zone;
        if (!cctz::load_time_zone(name, &zone)) return nullptr;
        return zones.emplace(name, std::make_unique<mr_zone>(mr_zone{zone})).first->second.get();
    } catch (...) {
        return nullptr;
    }
}

int32_t mr_zone_local_offset(const struct mr_zone *zone, int64_t local_seconds) {
    try {
        const cctz::civil_second local = cctz::civil_second(1970, 1, 1) + local_seconds;
        const auto found = zone->zone.lookup(local);
        switch (found.kind) {
            case cctz::time_zone::civil_lookup::UNIQUE:
                return offset(zone, found.pre);
            case cctz::time_zone::civil_lookup::SKIPPED:
                // Read with the offset before the gap.
                return offset(zone, found.trans - cctz::seconds(1));
            case cctz::time_zone::civil_lookup::REPEATED:
                // PostgreSQL takes standard time, the later of the two.
                return offset(zone, found.post);
        }
    } catch (...) {
    }
    return 0;
}

int32_t mr_zone_offset(const struct mr_zone *zone, int64_t seconds) {
    try {
        return offset(zone, moment(seconds));
    } catch (...) {
        return 0;
    }
}
