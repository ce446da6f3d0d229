#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <btreemapped/replica.hpp>

struct Car {
  std::string owner;
  std::int64_t license_plate;
  std::string color;
};

std::size_t cars_of(const btreemapped::Replica<Car, 2>& cars, std::string_view owner);
