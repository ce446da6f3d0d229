#pragma once

/// The version of the library; CMake reads these three lines.
#define BTREEMAPPED_VERSION_MAJOR 0
#define BTREEMAPPED_VERSION_MINOR 1
#define BTREEMAPPED_VERSION_PATCH 0
