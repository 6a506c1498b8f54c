#include "CMigrationFiles.h"
