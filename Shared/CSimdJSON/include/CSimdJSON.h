#pragma once
#include "shred.h"
#include "split.h"
