#include "CTimeZone.h"
