// Each way to write what a user writes with the umbrella header compiles, with either compiler.
// expect: success
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_set>

#include <btreemapped.hpp>

struct Car {
  std::string owner;
  std::int64_t plate;
  std::string color;
};

struct Declared {
  std::int64_t plate;
  std::int64_t year;

  static constexpr std::string_view table = "declared";
  static constexpr std::string_view schema = "garage";
  static constexpr auto key = btreemapped::key<&Declared::year, &Declared::plate>;
};

struct Foreign {
  std::int64_t id;
  std::string text;
};
template <>
struct btreemapped::table_traits<Foreign> {
  static constexpr std::string_view table = "foreign";
  static constexpr std::size_t arity = 1;
  static constexpr std::string_view column_name(std::string_view field) { return field == "id" ? "ident" : field; }
};

static_assert(std::is_same_v<btreemapped::Replica<Declared>, btreemapped::Replica<Declared, 2>>);
static_assert(std::is_copy_assignable_v<btreemapped::Replica<Car, 2>>);

void follow(const std::string& connection, std::stop_token stop) {
  using namespace std::chrono_literals;
  std::unordered_set<btreemapped::Lsn> seen;
  btreemapped::Replicator replicator{{.connection = connection,
                                      .publication = "cars_pub",
                                      .create_publication = true,
                                      .empty_until_synced = true,
                                      .on_event = [&](const btreemapped::Event& event) { seen.insert(event.lsn); },
                                      .on_thread_start = [] {}}};
  const btreemapped::Replica<Car, 2> cars = replicator.add_replica<Car, 2>("cars");
  const btreemapped::Replica<Car, 1> owners = replicator.add_replica<Car, 1>(std::string("public.cars"));
  const btreemapped::Replica<Declared> declared = replicator.add_replica<Declared>();
  const btreemapped::Replica<Declared> elsewhere = replicator.add_replica<Declared, 2>("garage.other");
  const btreemapped::Replica<Foreign> foreign = replicator.add_replica<Foreign>();
  const std::shared_future<void> synced = replicator.synced();
  replicator.run(stop);
  if (!replicator.wait_for(cars.lsn(), 5s)) replicator.stop();
  if (const btreemapped::Reached reached = replicator.catch_up(5s); !reached && !reached.why.empty()) replicator.stop();
  btreemapped::Token token = replicator.token();
  token.use_xid(token.sql());
  if (!replicator.wait_for(token, 5s)) replicator.stop();

  const Car car{"Bob", 20, "red"};
  const std::tuple<std::string, std::int64_t> key = btreemapped::key_of<Car, 2>(car);
  static_cast<void>(key == btreemapped::key_of<2>(car));
  static_cast<void>(btreemapped::key_of(Declared{1, 2}) == std::tuple(std::int64_t{2}, std::int64_t{1}));
  const std::optional<std::string> color = cars.get_with("Bob", 20, &Car::color);
  const std::function<void(const Car&)> look = [](const Car&) {};
  cars.for_range2("Bob", btreemapped::at_least(20U), look);
  btreemapped::read(cars, declared, foreign, [](const auto& a, const auto& b, const auto& c) {
    return a.size() + b.size() + c.size() + (std::ranges::find(a, "red", &Car::color) == a.end() ? 1U : 0U);
  });
  btreemapped::read(btreemapped::allow_stale, owners, elsewhere, [](auto&, auto&) {});
}
