# Clang under the name that the distribution gives it: the plain one, else the oldest that the library supports.
set(clang_names clang++)
foreach(major RANGE 14 30)
  list(APPEND clang_names clang++-${major})
endforeach()
find_program(BTREEMAPPED_CLANG NAMES ${clang_names} REQUIRED)
set(CMAKE_CXX_COMPILER "${BTREEMAPPED_CLANG}")
