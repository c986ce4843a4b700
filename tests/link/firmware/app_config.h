#ifndef APP_CONFIG_H
#define APP_CONFIG_H

#include "tiny.h"

#define APP_MODEL(member) tiny_##member
#define APP_MODEL_NAME "tiny"
#define APP_MODEL_SHA256 {1, 2, 3}
#define APP_ARENA_BYTES TINY_ARENA_BYTES
#define APP_ARENA_ALIGNMENT 4
#define APP_LAYER_COUNT TINY_LAYER_COUNT
#define APP_INPUT_COUNT TINY_INPUT_COUNT
#define APP_INPUT_BYTES {600u, 3u}
#define APP_OUTPUT_COUNT TINY_OUTPUT_COUNT
#define APP_OUTPUT_BYTES {600u, 3u}
#ifdef TINY_FRAMES
#define APP_FRAME_BODY_BYTES 120u
#else
#define APP_FRAME_BODY_BYTES 256u
#endif
#define APP_BOARD_NAME "a board with a name that is longer than forty bytes"

#endif
