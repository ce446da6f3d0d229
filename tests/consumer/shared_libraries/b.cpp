#include "library.hpp"

Seen read_in_b(const Accounts& accounts, const std::function<void()>& inside) { return read_here(accounts, inside); }
std::unique_ptr<btreemapped::Replicator> make_in_b(const std::string& dsn) { return make_here(dsn); }
