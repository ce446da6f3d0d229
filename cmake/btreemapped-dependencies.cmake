# Finds what btreemapped links, for its own build and, installed beside the package config, for its users:
# PostgreSQL::PostgreSQL, libpqxx::pqxx, Threads::Threads and, where Boost.PFR brings field names, btreemapped::pfr.
# BTREEMAPPED_PFR_HINT names a folder to look for Boost.PFR in when no other has it.

include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_dependency(PostgreSQL) # CMake's own module: distributions ship no config file

# libpqxx: its CMake package where there is one, else pkg-config.
if(NOT TARGET libpqxx::pqxx)
  find_package(libpqxx CONFIG QUIET)
endif()
if(NOT TARGET libpqxx::pqxx)
  find_dependency(PkgConfig)
  pkg_check_modules(btreemapped_libpqxx REQUIRED IMPORTED_TARGET GLOBAL libpqxx)
  add_library(libpqxx::pqxx INTERFACE IMPORTED GLOBAL)
  target_link_libraries(libpqxx::pqxx INTERFACE PkgConfig::btreemapped_libpqxx PostgreSQL::PostgreSQL)
endif()

# A libpqxx that was built as C++17 may lack symbols that its headers name in C++20. Better to learn it here.
if(NOT BTREEMAPPED_LIBPQXX_LINKS)
  message(CHECK_START "Checking that libpqxx links from C++20")
  try_compile(
    BTREEMAPPED_LIBPQXX_LINKS "${CMAKE_CURRENT_BINARY_DIR}/btreemapped-libpqxx"
    SOURCES "${CMAKE_CURRENT_LIST_DIR}/libpqxx-link-test.cpp"
    LINK_LIBRARIES libpqxx::pqxx PostgreSQL::PostgreSQL
    CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON
    OUTPUT_VARIABLE btreemapped_libpqxx_output)
  if(BTREEMAPPED_LIBPQXX_LINKS)
    message(CHECK_PASS "yes")
  else()
    message(CHECK_FAIL "no")
    message(
      FATAL_ERROR
        "btreemapped: this libpqxx does not link from C++20; build it with CMAKE_CXX_STANDARD=20 and name it by "
        "CMAKE_PREFIX_PATH. The compiler said:\n${btreemapped_libpqxx_output}")
  endif()
endif()

# btreemapped_add_pfr(DIR): makes btreemapped::pfr of the folder that holds boost/pfr.
macro(btreemapped_add_pfr directory)
  add_library(btreemapped::pfr INTERFACE IMPORTED GLOBAL)
  set_target_properties(btreemapped::pfr PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${directory}")
endmacro()

# Boost.PFR by the header that brings field names: a Boost may be installed and be too old for it.
if(NOT TARGET btreemapped::pfr)
  find_path(BTREEMAPPED_PFR_INCLUDE_DIR boost/pfr/core_name.hpp HINTS ${Boost_INCLUDE_DIRS} PATHS "${BTREEMAPPED_PFR_HINT}")
  mark_as_advanced(BTREEMAPPED_PFR_INCLUDE_DIR)
  if(BTREEMAPPED_PFR_INCLUDE_DIR)
    btreemapped_add_pfr("${BTREEMAPPED_PFR_INCLUDE_DIR}")
  endif()
endif()
