#pragma once
#include <stdint.h>
typedef uint32_t TickType_t;
typedef unsigned int UBaseType_t;
#define pdMS_TO_TICKS(milliseconds) ((TickType_t)(milliseconds) / 10u)
