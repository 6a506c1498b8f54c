#include "CTimeZone.h"

#include <cctz/civil_time.h>
#include <cctz/time_zone.h>

#include <sys/stat.h>

#include <chrono>
#include <cstdlib>
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

// cctz remembers every name that it is asked for, so it is asked for none that there is no file of.
bool exists(const std::string &name) {
    if (name == "UTC") return true;
    const char *folder = std::getenv("TZDIR");
    struct stat found;
    const std::string path = std::string(folder != nullptr && *folder ? folder : "/usr/share/zoneinfo") + "/" + name;
    return stat(path.c_str(), &found) == 0 && S_ISREG(found.st_mode);
}

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
        if (!exists(name)) return nullptr;
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

int64_t mr_zone_first_moment(const struct mr_zone *zone, int64_t local_seconds) {
    try {
        const auto found = zone->zone.lookup(cctz::civil_second(1970, 1, 1) + local_seconds);
        const bool skipped = found.kind == cctz::time_zone::civil_lookup::SKIPPED;
        return (skipped ? found.trans : found.pre).time_since_epoch().count();
    } catch (...) {
        return local_seconds;
    }
}

int64_t mr_zone_next_change(const struct mr_zone *zone, int64_t seconds) {
    try {
        cctz::time_zone::civil_transition change;
        if (!zone->zone.next_transition(moment(seconds), &change)) return INT64_MAX;
        // Of the two local times of the change the earlier one lies in the gap, or is the one that is repeated.
        const cctz::civil_second earlier = change.from < change.to ? change.from : change.to;
        const int64_t when = zone->zone.lookup(earlier).trans.time_since_epoch().count();
        return when > seconds ? when : INT64_MAX;
    } catch (...) {
        return INT64_MAX;
    }
}
