// The commit of a subtransaction shows nothing to anybody: waiting for it would be in vain.
// expect: a subtransaction is not committed before the transaction around it
#include <chrono>

#include <pqxx/subtransaction>

#include <btreemapped.hpp>
#include <btreemapped/pqxx.hpp>

btreemapped::Reached commit(pqxx::subtransaction& part, const btreemapped::Replicator& replicator) {
  return btreemapped::commit_and_wait(part, replicator, std::chrono::seconds{1});
}
